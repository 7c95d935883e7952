/** The numbers of WebGPU's flags: their global objects exist in browsers only. */
export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128, queryResolve: 512 } as const;
export const compute = 4;
export const mapRead = 1;
