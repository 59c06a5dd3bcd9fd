/** A map for keys that come and go without end. */

/** Entries made before the table is copied: so many at least, and so many for each entry that is left. */
const MIN_ADDED = 1024;
const ADDED_PER_ENTRY = 4;

/**
 * A `Map`, copied into a fresh one every so often. V8 rebuilds the table of a `Map` that entries come to and go from, and lets the old one
 * point to the new. Once one of them has reached the old generation, all later ones, and whatever was in them when they were rebuilt, stay
 * until the next full collection: short-lived entries are copied over and over, which costs more than all else that is done with them.
 * A fresh `Map` has no such forebears.
 */
export class RenewedMap<K, V> {
  #map = new Map<K, V>();
  #added = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  set(key: K, value: V): void {
    this.#map.set(key, value);
    this.#added += 1;
    if (this.#added < MIN_ADDED || this.#added < this.#map.size * ADDED_PER_ENTRY) return;
    this.#map = new Map(this.#map);
    this.#added = 0;
  }

  delete(key: K): boolean {
    return this.#map.delete(key);
  }

  /** First added to last. */
  values(): MapIterator<V> {
    return this.#map.values();
  }

  clear(): void {
    this.#map.clear();
  }
}
