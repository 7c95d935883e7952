/** Errors as sentences for whoever uses the page. */
import { CompileError, DeviceError, FileError, FormatError, NoProgramError, OutOfMemoryError, TreepieError } from "#treepie/core/errors.js";

/** Something is wrong that only this page can know of. */
export class PageError extends Error {}

/** What went wrong, and what to do. */
export function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof PageError) return message;
  if (error instanceof OutOfMemoryError)
    return `This model is too large for the device. Choose a smaller one, or another device. (${message})`;
  if (error instanceof FormatError) return `This file cannot be used: it is damaged, cut short, or of another kind. (${message})`;
  if (error instanceof FileError && !navigator.onLine)
    return `There is no network, and this was not loaded here before. Models that are kept in this browser still work. (${message})`;
  if (error instanceof FileError) return `A file could not be read. Look at your connection, or choose the files again. (${message})`;
  if (error instanceof NoProgramError) return `This program file holds nothing that this browser can run. (${message})`;
  if (error instanceof CompileError) return `This browser refused the model's code. Try the other device. (${message})`;
  if (error instanceof DeviceError) return `The device failed. Load the model again, or choose the other device. (${message})`;
  if (error instanceof TreepieError) return `That did not work: ${message}`;
  return `Something unexpected happened: ${message}`;
}
