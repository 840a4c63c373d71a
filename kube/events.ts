import { randomBytes } from 'node:crypto'
import { isOfEndingNamespace } from './api-error.ts'
import type { KubeClient } from './client.ts'
import { type Clock, systemClock, timestamp } from './clock.ts'
import type { Logger } from './log.ts'
import type { Metadata } from './resource.ts'
import { events } from './resources.ts'

/** What an Event is about. */
export interface EventSubject {
  apiVersion: string
  kind: string
  metadata: Metadata
}

export interface EventRecorder {
  /**
   * Tells the object's reader what happened: `kubectl describe` shows it. Fire
   * and forget: a failure is logged. The same event repeated counts up.
   *
   * @param message at most 1024 bytes; what is longer is cut
   */
  event(about: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void
}

/** The API server's own limit. */
const messageBytes = 1024

/** So many different events are remembered for counting; the longest unused goes first. */
const rememberedEvents = 1024

/** Events of objects of the cluster lie here. */
const clusterEventsNamespace = 'default'

interface Recorded {
  /** Name of the Event object; undefined before it is made. */
  name: string | undefined
  count: number
  firstTimestamp: string
  writing: boolean
  /** There is more to write than was written. */
  dirty: boolean
}

const cut = (message: string): string => {
  const bytes = Buffer.from(message)
  if (bytes.length <= messageBytes) return message
  // A character cut in half decodes to U+FFFD.
  return `${bytes
    .subarray(0, messageBytes - 3)
    .toString()
    .replace(/\uFFFD+$/, '')}…`
}

export const createEventRecorder = (
  client: Pick<KubeClient, 'create' | 'mergePatch'>,
  {
    component,
    host,
    log,
    clock = systemClock,
  }: { component: string; host: string; log: Logger; clock?: Clock | undefined },
): EventRecorder => {
  const recorded = new Map<string, Recorded>()

  /** The entry of the key, moved to the young end. */
  const touch = (key: string): Recorded => {
    const known = recorded.get(key)
    const entry = known ?? {
      name: undefined,
      count: 0,
      firstTimestamp: timestamp(clock.now()),
      writing: false,
      dirty: false,
    }
    recorded.delete(key)
    recorded.set(key, entry)
    const [oldest] = recorded.keys()
    if (recorded.size > rememberedEvents && oldest !== undefined) recorded.delete(oldest)
    return entry
  }

  return {
    event: ({ apiVersion, kind, metadata }, type, reason, text) => {
      const message = cut(text)
      const namespace = metadata.namespace || clusterEventsNamespace
      const entry = touch(JSON.stringify([metadata.uid, type, reason, message]))
      entry.count++
      entry.dirty = true

      const create = async (lastTimestamp: string): Promise<void> => {
        const name = `${metadata.name.slice(0, 200)}.${randomBytes(8).toString('hex')}`
        await client.create(
          events,
          {
            metadata: { name, namespace },
            involvedObject: {
              apiVersion,
              kind,
              namespace: metadata.namespace || undefined,
              name: metadata.name,
              uid: metadata.uid,
              resourceVersion: metadata.resourceVersion,
            },
            type,
            reason,
            message,
            source: { component, host },
            reportingComponent: component,
            reportingInstance: host,
            firstTimestamp: entry.firstTimestamp,
            lastTimestamp,
            count: entry.count,
          },
          namespace,
        )
        entry.name = name
      }

      const write = async (): Promise<void> => {
        const lastTimestamp = timestamp(clock.now())
        const known = entry.name
        if (known === undefined) return create(lastTimestamp)
        const patched = await client.mergePatch(
          events,
          { namespace, name: known },
          { count: entry.count, lastTimestamp },
        )
        // Events live an hour; after that the count begins anew.
        if (patched !== undefined) return
        entry.count = 1
        entry.firstTimestamp = lastTimestamp
        await create(lastTimestamp)
      }

      /** One write at a time for each event: what comes in between goes into the next. */
      const flush = async (): Promise<void> => {
        if (entry.writing) return
        entry.writing = true
        try {
          while (entry.dirty) {
            entry.dirty = false
            await write()
          }
        } catch (error) {
          if (isOfEndingNamespace(error)) return
          log.warn(
            { err: error, kind, namespace: metadata.namespace, name: metadata.name, reason },
            'event not recorded',
          )
        } finally {
          entry.writing = false
        }
      }
      void flush()
    },
  }
}
