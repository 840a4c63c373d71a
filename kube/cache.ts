import { type KubeObject, keyOf } from './resource.ts'

export type Change<T> =
  | { type: 'added'; object: T; old?: undefined }
  | { type: 'updated'; object: T; old: T }
  | { type: 'deleted'; object: T; old?: undefined }

export type Indexes<T> = Readonly<Record<string, (object: T) => readonly string[]>>

/** Objects by key and by index. What changes it returns what changed; nothing older replaces what is newer. */
export interface Cache<T> {
  get(key: string): T | undefined
  list(): T[]
  size(): number
  /** @throws when there is no such index */
  by(index: string, value: string): T[]
  /** Takes the object unless the one that is there is as new. */
  put(object: T): Change<T>[]
  /** @param resourceVersion of the deletion: an object made since stays */
  remove(key: string, resourceVersion: number): Change<T>[]
  /**
   * Takes a full list, complete up to `resourceVersion`: what is not in it and
   * not newer is deleted. When versions have gone back, as after a restore of
   * the cluster's data, the list replaces all.
   *
   * @param keep keys that are in the list although their object could not be read: what was read of them before stays.
   *   Not when versions have gone back: it tells of what has never been, and newer than all that comes, would hide it
   */
  replace(objects: readonly T[], resourceVersion: number, keep: ReadonlySet<string>): Change<T>[]
  /** Up to here the cache knows all there was; 0 before the first list. */
  completeTo(): number
  /** What has been seen of the watch: the cache is complete up to there. */
  advance(resourceVersion: number): void
}

/** Versions of one resource compare as integers (KEP-5504). */
export const versionOf = ({ metadata }: KubeObject): number => Number(metadata.resourceVersion)

export const createCache = <T extends KubeObject>(indexes: Indexes<T> = {}): Cache<T> => {
  const objects = new Map<string, T>()
  const indexed = new Map(Object.keys(indexes).map((name) => [name, new Map<string, Map<string, T>>()]))
  let complete = 0

  const index = (name: string): Map<string, Map<string, T>> => {
    const values = indexed.get(name)
    if (!values) throw new Error(`no index "${name}": there are ${[...indexed.keys()].join(', ') || 'none'}`)
    return values
  }
  const unindex = (key: string, object: T): void => {
    for (const [name, valuesOf] of Object.entries(indexes)) {
      for (const value of valuesOf(object)) {
        const found = index(name).get(value)
        found?.delete(key)
        if (found?.size === 0) index(name).delete(value)
      }
    }
  }
  const store = (key: string, object: T): void => {
    objects.set(key, object)
    for (const [name, valuesOf] of Object.entries(indexes)) {
      for (const value of valuesOf(object)) {
        const found = index(name).get(value) ?? new Map<string, T>()
        index(name).set(value, found.set(key, object))
      }
    }
  }
  const drop = (key: string, object: T): Change<T> => {
    objects.delete(key)
    unindex(key, object)
    return { type: 'deleted', object }
  }

  const put: Cache<T>['put'] = (object) => {
    const key = keyOf(object)
    const old = objects.get(key)
    if (old && versionOf(old) >= versionOf(object)) return []
    if (old) unindex(key, old)
    store(key, object)
    if (!old) return [{ type: 'added', object }]
    if (old.metadata.uid === object.metadata.uid) return [{ type: 'updated', object, old }]
    return [
      { type: 'deleted', object: old },
      { type: 'added', object },
    ]
  }

  return {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    size: () => objects.size,
    by: (name, value) => [...(index(name).get(value)?.values() ?? [])],
    put,
    remove: (key, resourceVersion) => {
      const old = objects.get(key)
      return old && versionOf(old) <= resourceVersion ? [drop(key, old)] : []
    },
    replace: (listed, resourceVersion, keep) => {
      const wentBack = resourceVersion < complete
      const present = new Set(listed.map(keyOf))
      const changes: Change<T>[] = []
      for (const [key, old] of objects) {
        const stays = !wentBack && (keep.has(key) || versionOf(old) > resourceVersion)
        if (!present.has(key) && !stays) changes.push(drop(key, old))
      }
      for (const object of listed) {
        const old = wentBack ? objects.get(keyOf(object)) : undefined
        if (old && versionOf(old) !== versionOf(object)) changes.push(drop(keyOf(object), old))
        changes.push(...put(object))
      }
      complete = resourceVersion
      return changes
    },
    completeTo: () => complete,
    advance: (resourceVersion) => {
      complete = Math.max(complete, resourceVersion)
    },
  }
}
