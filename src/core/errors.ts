/** Base of every error that Treepie throws on purpose. */
export class TreepieError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
/** Shapes that do not fit an op. */
export class ShapeError extends TreepieError {}
/** A dtype that an op does not take, or that does not fit its other inputs. */
export class DTypeError extends TreepieError {}
/** An argument that is out of its range or of the wrong kind. */
export class ArgumentError extends TreepieError {}
/** A file that is damaged, truncated or of an unknown version; nothing was loaded from it. */
export class FormatError extends TreepieError {}
/** A file could not be read or written; says which, and what became of the old contents. */
export class FileError extends TreepieError {}
/** Something that does not exist (yet) for this dtype, device or target. */
export class UnsupportedError extends TreepieError {}
/** A program file holds no program for this device, and no compiler is at hand. */
export class NoProgramError extends TreepieError {}
/** A device ran out of memory: says what was asked, what there is, and what would help. */
export class OutOfMemoryError extends TreepieError {}
/** A closed-over value changed between a trace and a call under `check`. */
export class StaleCaptureError extends TreepieError {}
/** A tensor value was read while a function was being traced. */
export class TraceError extends TreepieError {}
/** A fault of the framework itself: a pass or a lowering broke an invariant. */
export class InternalError extends TreepieError {}
/** A native compiler or a device refused generated code. */
export class CompileError extends TreepieError {
  /** The kernel that was refused, where that is known. */
  readonly kernel: string | undefined;
  constructor(message: string, options: ErrorOptions & { readonly kernel?: string | undefined } = {}) {
    super(message, options);
    this.kernel = options.kernel;
  }
}
/** A device failed or was lost while it ran. */
export class DeviceError extends TreepieError {}
