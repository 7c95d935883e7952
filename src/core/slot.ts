/** What is kept with objects that others made: as in a WeakMap, but the garbage collector has no table of it to look through. */
export interface Slot<K extends object, V> {
  get(of: K): V | undefined;
  set(of: K, value: V): void;
}

/** A constructor that gives back the object that it is called with, so that fields of classes below it are put into that object. */
const Same = function (this: unknown, of: object): object {
  return of;
} as unknown as new (
  of: object,
) => object;

/** A place in every object that only this slot sees: copies of an object do not have what is in it, and frozen objects can have it. */
export function slot<K extends object, V>(): Slot<K, V> {
  return class Place extends Same {
    #value: V | undefined;
    static get(of: K): V | undefined {
      return #value in of ? (of as unknown as Place).#value : undefined;
    }
    static set(of: K, value: V): void {
      if (!(#value in of)) new Place(of);
      (of as unknown as Place).#value = value;
    }
  };
}
