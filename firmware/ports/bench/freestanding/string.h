#ifndef WHIR_FREESTANDING_STRING_H
#define WHIR_FREESTANDING_STRING_H

#include <stddef.h>

/* What the core and the compiler ask of a C library, for compilers that come without one. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
int strcmp(const char *a, const char *b);
void *memchr(const void *data, int value, size_t bytes);
char *strchr(const char *text, int c);
size_t strlen(const char *text);

#endif
