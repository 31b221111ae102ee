/** Amplitude spectrum of the last samples, for the eye alone: what the model gets comes from the core's own FFT. */

/** In place, radix 2; `re` and `im` hold a power of two of values. */
function fft(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j]!, re[i]!];
      [im[i], im[j]] = [im[j]!, im[i]!];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const step = (-2 * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(step * k);
      const s = Math.sin(step * k);
      for (let i = k; i < n; i += size) {
        const j = i + size / 2;
        const x = re[j]! * c - im[j]! * s;
        const y = re[j]! * s + im[j]! * c;
        re[j] = re[i]! - x;
        im[j] = im[i]! - y;
        re[i]! += x;
        im[i]! += y;
      }
    }
  }
}

/** Peak amplitude per bin of all channels together, Hann window: channels of equal length, a power of two. */
export function amplitudes(channels: Float32Array[]): Float32Array {
  const n = channels[0]!.length;
  const power = new Float32Array(n / 2);
  for (const channel of channels) {
    const mean = channel.reduce((sum, value) => sum + value, 0) / n;
    const re = Float64Array.from(channel, (value, i) => (value - mean) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n)));
    const im = new Float64Array(n);
    fft(re, im);
    for (let k = 1; k < n / 2; k++) power[k]! += (re[k]! ** 2 + im[k]! ** 2) * (4 / n) ** 2;
  }
  return power.map(Math.sqrt);
}
