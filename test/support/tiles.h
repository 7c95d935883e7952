/* Intel's tile instructions on memory: what processors without them can test. */
#include <stdint.h>
#include <string.h>
static __thread uint32_t emulated[8][16][16];
static inline float emulated_half(uint32_t word, int i) {
  uint32_t bits = i ? word & 0xffff0000u : word << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
static inline void emulated_bf16(int c, int a, int b) {
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      float sum;
      memcpy(&sum, &emulated[c][i][j], 4);
      for (int k = 0; k < 16; k++)
        for (int h = 0; h < 2; h++) sum += emulated_half(emulated[a][i][k], h) * emulated_half(emulated[b][k][j], h);
      memcpy(&emulated[c][i][j], &sum, 4);
    }
}
static inline void emulated_i8(int c, int a, int b) {
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++)
      for (int k = 0; k < 16; k++)
        for (int h = 0; h < 32; h += 8) emulated[c][i][j] += (uint32_t)((int8_t)(emulated[a][i][k] >> h) * (int8_t)(emulated[b][k][j] >> h));
}
static inline void emulated_load(int t, const void *from, long stride) {
  for (int i = 0; i < 16; i++) memcpy(emulated[t][i], (const char *)from + i * stride, 64);
}
static inline void emulated_store(int t, void *to, long stride) {
  for (int i = 0; i < 16; i++) memcpy((char *)to + i * stride, emulated[t][i], 64);
}
#define _tile_loadconfig(config) ((void)(config))
#define _tile_zero(t) memset(emulated[t], 0, sizeof emulated[t])
#define _tile_loadd(t, from, stride) emulated_load(t, from, stride)
#define _tile_stream_loadd(t, from, stride) emulated_load(t, from, stride)
#define _tile_stored(t, to, stride) emulated_store(t, to, stride)
#define _tile_dpbf16ps(c, a, b) emulated_bf16(c, a, b)
#define _tile_dpbssd(c, a, b) emulated_i8(c, a, b)
