import { hasReason } from './api-error.ts'
import { backoffMs } from './backoff.ts'
import { type Change, createCache, type Indexes, versionOf } from './cache.ts'
import { type KubeClient, listAll, type Selection, type WatchEvent } from './client.ts'
import { type Clock, pause, systemClock, unlessAborted } from './clock.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { formatKey, type KubeObject, keyOf, type ObjectKey, type Resource } from './resource.ts'
import { createReader, createSnapshot, readBookmark, type Snapshot } from './snapshot.ts'

/** A local copy of a kind's objects, kept up to date by a watch. */
export interface Reflector<T extends KubeObject> {
  /** Keeps the copy until the signal is aborted; no failure ends it. */
  run(signal: AbortSignal): Promise<void>
  /** Resolves when the first list is in; stays open when `run` is aborted before ({@link allSynced}). */
  synced: Promise<void>
  get(key: ObjectKey): T | undefined
  list(): T[]
  /** @throws when there is no such index */
  by(index: string, value: string): T[]
  /**
   * Takes the answer to one's own write, so that the next pass does not act on
   * what was before it. Only of objects that the reflector's selection holds;
   * one that the cache knows newer, or deleted, is left out.
   */
  note(object: T): void
  /** When the copy was last known to be complete, in ms since 1970; 0 before the first list. */
  lastSync(): number
}

/** Who tells of a change: the watch, or somebody here who has made it. */
export type Origin = 'watch' | 'note'

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  client: Pick<KubeClient, 'listPage' | 'watch'>
  resource: Resource<T>
  /** In logs and metrics; that of the resource when left out. */
  name?: string
  indexes?: Indexes<T>
  /** Called once for each change that shows in the copy, also those of `note`; must not be async. */
  onChange?: (change: Change<T>, origin: Origin) => void
  log: Logger
  metrics?: Metrics | undefined
  clock?: Clock
  random?: () => number
}

const backoff = { baseMs: 500, capMs: 30_000 } as const

/** The API server sends a bookmark about every minute: after three silent ones the watch is dead, whatever TCP thinks. */
const silenceMs = 180_000

/** The server ends a watch after a random time between these, so that not all come back at once. */
const watchSeconds = { from: 300, to: 600 } as const

/** A watch that ends sooner, with nothing in it, counts as a failure, or it would be tried in a tight loop. */
const shortWatchMs = 1_000

class SilentWatch extends Error {
  constructor() {
    super(`no word on the watch for ${silenceMs / 1000} s`)
  }
}

const sayings = {
  list: 'the list failed: trying again',
  watch: 'the watch failed: watching again from where it was',
  expired: 'the watch is too far behind: listing anew',
  silence: 'the watch fell silent: listing anew',
} as const

const causeOf = (error: unknown, listed: boolean): keyof typeof sayings => {
  if (error instanceof SilentWatch) return 'silence'
  if (!listed) return 'list'
  return hasReason(error, 'Expired', 'Gone') ? 'expired' : 'watch'
}

export const createReflector = <T extends KubeObject>(options: ReflectorOptions<T>): Reflector<T> => {
  const { client, resource, onChange, metrics, clock = systemClock, random = Math.random } = options
  const selection: Selection = {
    namespace: options.namespace,
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
  }
  const name = options.name ?? resource.plural
  const log = options.log.child({ reflector: name })
  const cache = createCache(options.indexes)
  let lastSync = 0
  /** Whether the copy is complete, so that a watch from there goes on with it. */
  let listed = false
  /** Whether the server gives all that is there as the first events of a watch: one request, and no page held on either side. */
  let streams = true
  let markSynced = (): void => {}
  const synced = new Promise<void>((resolve) => {
    markSynced = resolve
  })

  const mark = (cause: string): void => metrics?.reflectorErrors.inc({ name, cause })

  const deliver = (changes: readonly Change<T>[], origin: Origin = 'watch'): void => {
    if (changes.length > 0) metrics?.reflectorItems.set(cache.size(), { name })
    for (const change of changes) {
      try {
        onChange?.(change, origin)
      } catch (error) {
        const { namespace, name: object } = change.object.metadata
        mark('handler')
        log.error({ err: error, kind: resource.kind, namespace, name: object }, `a handler of "${change.type}" failed`)
      }
    }
  }

  const leaveOut = (error: unknown, key: ObjectKey | undefined): void => {
    mark('parse')
    log.error({ err: error, kind: resource.kind, namespace: key?.namespace, name: key?.name }, 'left out: not readable')
  }

  const reader = createReader(resource.parse, leaveOut)

  /** What has come in is all there was at that version. */
  const settle = (snapshot: Snapshot<T>, resourceVersion: string): void => {
    deliver(cache.replace(snapshot.objects(), Number(resourceVersion), snapshot.unreadable()))
    metrics?.reflectorLists.inc({ name })
    listed = true
    lastSync = clock.now().getTime()
    markSynced()
  }

  const list = async (): Promise<void> => {
    const { items, resourceVersion } = await listAll(client, resource, selection)
    const snapshot = createSnapshot(reader)
    for (const item of items) snapshot.take('ADDED', item)
    settle(snapshot, resourceVersion)
  }

  /** One's own write comes by again, and most of what comes by is that: reading is the dearest part of it. */
  const isKnown = ({ resourceVersion, ...key }: ObjectKey & { resourceVersion: string }): boolean => {
    const known = cache.get(formatKey(key))
    return known !== undefined && versionOf(known) >= Number(resourceVersion)
  }

  const take = ({ type, object: json }: WatchEvent): void => {
    lastSync = clock.now().getTime()
    if (type === 'BOOKMARK') {
      cache.advance(Number(readBookmark(json).resourceVersion))
      return
    }
    const identity = reader.identify(json)
    if (!identity) return
    const version = Number(identity.resourceVersion)
    if (type === 'DELETED') {
      deliver(cache.remove(formatKey(identity), version))
    } else if (!isKnown(identity)) {
      const object = reader.read(json, identity)
      if (object) deliver(cache.put(object))
    }
    cache.advance(version)
  }

  /** @returns whether that was all of the initial events */
  const gather = (snapshot: Snapshot<T>, { type, object: json }: WatchEvent): boolean => {
    if (type !== 'BOOKMARK') {
      snapshot.take(type, json)
      return false
    }
    const { resourceVersion, endsInitialEvents } = readBookmark(json)
    if (endsInitialEvents) settle(snapshot, resourceVersion)
    return endsInitialEvents
  }

  /** Reads a watch to its end, with all that is there first unless that is known; ends it when it falls silent. */
  const follow = async (signal: AbortSignal): Promise<number> => {
    metrics?.reflectorWatches.inc({ name })
    const silent = new AbortController()
    const listen = () => clock.setTimeout(() => silent.abort(new SilentWatch()), silenceMs)
    let cancel = listen()
    let events = 0
    try {
      const timeoutSeconds = Math.round(watchSeconds.from + random() * (watchSeconds.to - watchSeconds.from))
      const from = listed
        ? { resourceVersion: String(cache.completeTo()) }
        : { resourceVersion: '', sendInitialEvents: true }
      const watch = client.watch(
        resource,
        { ...selection, ...from, timeoutSeconds },
        AbortSignal.any([signal, silent.signal]),
      )
      let snapshot = listed ? undefined : createSnapshot(reader)
      for await (const event of watch) {
        cancel()
        cancel = listen()
        events++
        if (!snapshot) take(event)
        else if (gather(snapshot, event)) snapshot = undefined
      }
      if (snapshot) throw new Error('the watch ended before all that is there had come')
      return events
    } finally {
      cancel()
    }
  }

  const run = async (signal: AbortSignal): Promise<void> => {
    let failures = 0
    while (!signal.aborted) {
      let watchedFrom: number | undefined
      const lived = () => watchedFrom !== undefined && clock.monotonicMs() - watchedFrom >= shortWatchMs
      try {
        if (!listed && !streams) await list()
        watchedFrom = clock.monotonicMs()
        const events = await follow(signal)
        failures = events > 0 || lived() ? 0 : failures + 1
      } catch (error) {
        if (signal.aborted) return
        if (!listed && streams && (error instanceof SilentWatch || hasReason(error, 'Invalid', 'BadRequest'))) {
          streams = false
          log.info('the API server does not send initial events: listing')
          continue
        }
        failures = lived() ? 1 : failures + 1
        const cause = causeOf(error, listed)
        mark(cause)
        log.warn({ err: error, failures }, sayings[cause])
        if (cause !== 'watch') listed = false
      }
      if (failures > 0) await pause(clock, backoffMs(failures, backoff, random), signal)
    }
  }

  return {
    run,
    synced,
    get: (key) => cache.get(formatKey(key)),
    list: cache.list,
    by: cache.by,
    note: (object) => {
      const isKnown = cache.get(keyOf(object)) !== undefined
      if (!isKnown && versionOf(object) <= cache.completeTo()) return
      deliver(cache.put(object), 'note')
    },
    lastSync: () => lastSync,
  }
}

/** Whether all have their first list in; false when the signal was aborted before. */
export const allSynced = async (
  reflectors: readonly Pick<Reflector<KubeObject>, 'synced'>[],
  signal: AbortSignal,
): Promise<boolean> =>
  (await unlessAborted(
    Promise.all(reflectors.map(({ synced }) => synced)).then(() => true),
    signal,
  )) ?? false
