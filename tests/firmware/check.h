#ifndef WHIR_CHECK_H
#define WHIR_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the place and both values. */
#define CHECK_EQUAL(got, wanted)                                                                                               \
    do {                                                                                                                       \
        long long check_got = (long long)(got), check_wanted = (long long)(wanted);                                            \
        if (check_got != check_wanted) {                                                                                       \
            printf("%s:%d: %s is %lld, wanted %lld\n", __FILE__, __LINE__, #got, check_got, check_wanted);                     \
            exit(1);                                                                                                           \
        }                                                                                                                      \
    } while (0)

#define CHECK(condition)                                                                                                       \
    do {                                                                                                                       \
        if (!(condition)) {                                                                                                    \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                                   \
            exit(1);                                                                                                           \
        }                                                                                                                      \
    } while (0)

#define RUN(test)                                                                                                              \
    do {                                                                                                                       \
        test();                                                                                                                \
        printf("ok  %s\n", #test);                                                                                             \
        fflush(stdout);                                                                                                        \
    } while (0)

#endif
