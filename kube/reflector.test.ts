import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { ApiError, type KubeClient, type ListPage, type WatchEvent, type WatchOptions } from './client.ts'
import { createMetrics } from './metrics.ts'
import { allSynced, createReflector, type ReflectorOptions } from './reflector.ts'
import { type Widget, widget, widgetJson, widgets } from './testing/fake-kind.ts'
import { createManualClock } from './testing/manual-clock.ts'
import { silentLog } from './testing/silent-log.ts'

const unknownOption = () => new ApiError('sendInitialEvents is forbidden', { status: 422, reason: 'Invalid' })
const expired = () => new ApiError('too old resource version', { status: 410, reason: 'Expired' })

type Line = WatchEvent | { fail: unknown } | 'end'

/** An API server that a test leads by the hand. */
const createServer = () => {
  let lines: Line[] = []
  let wake = (): void => {}
  const watches: WatchOptions[] = []
  const state: { list: () => ListPage; lists: number; streams: boolean; refuse: unknown } = {
    list: () => ({ items: [], resourceVersion: '1' }),
    lists: 0,
    streams: false,
    refuse: undefined,
  }
  const client: Pick<KubeClient, 'listPage' | 'watch'> = {
    listPage: async () => {
      state.lists++
      return state.list()
    },
    watch: async function* (_resource, options, signal) {
      if (options.sendInitialEvents && !state.streams) throw unknownOption()
      watches.push(options)
      if (state.refuse) throw state.refuse
      lines = []
      signal.addEventListener('abort', () => wake())
      for (;;) {
        signal.throwIfAborted()
        const line = lines.shift()
        if (line === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        } else if (line === 'end') return
        else if ('fail' in line) throw line.fail
        else yield line
      }
    },
  }
  const send = async (...sent: Line[]) => {
    lines.push(...sent)
    wake()
    await turn()
  }
  return { client, state, watches, send }
}

const start = async (
  items: object[] = [],
  { streams = false, ...options }: Partial<ReflectorOptions<Widget>> & { streams?: boolean } = {},
) => {
  const server = createServer()
  server.state.streams = streams
  server.state.list = () => ({ items, resourceVersion: '10' })
  const clock = createManualClock()
  const changes: string[] = []
  const reflector = createReflector({
    client: server.client,
    resource: widgets,
    indexes: { color: ({ color }) => [color] },
    onChange: ({ type, object }) => {
      changes.push(`${type} ${object.metadata.name}@${object.metadata.resourceVersion}`)
    },
    log: silentLog,
    clock,
    random: () => 1,
    ...options,
  })
  const stop = new AbortController()
  const ended = reflector.run(stop.signal)
  await turn()
  return { ...server, reflector, clock, changes, stop, ended }
}

const added = (...args: Parameters<typeof widgetJson>): WatchEvent => ({ type: 'ADDED', object: widgetJson(...args) })
const modified = (...args: Parameters<typeof widgetJson>): WatchEvent => ({
  type: 'MODIFIED',
  object: widgetJson(...args),
})
const deleted = (...args: Parameters<typeof widgetJson>): WatchEvent => ({
  type: 'DELETED',
  object: widgetJson(...args),
})
const bookmark = (resourceVersion: number): WatchEvent => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: String(resourceVersion) } },
})
/** All that is there has come. */
const endOfInitial = (resourceVersion: number): WatchEvent => ({
  type: 'BOOKMARK',
  object: {
    metadata: { resourceVersion: String(resourceVersion), annotations: { 'k8s.io/initial-events-end': 'true' } },
  },
})
const key = (name: string) => ({ namespace: 'ns', name })

describe('a reflector', () => {
  test('lists, then watches from there with a time limit of five to ten minutes', async () => {
    const { reflector, watches, changes, send } = await start([widgetJson('a', 5)])
    await reflector.synced
    expect(changes).toEqual(['added a@5'])
    expect(watches).toMatchObject([{ resourceVersion: '10', timeoutSeconds: 600 }])
    await send(added('b', 11), modified('a', 12, 'blue'), deleted('b', 13))
    expect(changes).toEqual(['added a@5', 'added b@11', 'updated a@12', 'deleted b@11'])
    expect(reflector.list()).toHaveLength(1)
    expect(reflector.by('color', 'blue').map(({ metadata }) => metadata.name)).toEqual(['a'])
  })

  test('reads a list of many pages', async () => {
    const pages: Record<string, ListPage> = {
      '': { items: [widgetJson('a', 1)], resourceVersion: '10', continue: 'two' },
      two: { items: [widgetJson('b', 2)], resourceVersion: '10' },
    }
    const server = createServer()
    const asked: (string | undefined)[] = []
    const { reflector } = await start([], {
      client: {
        ...server.client,
        listPage: async (_resource, options) => {
          asked.push(options.continue)
          return pages[options.continue ?? ''] ?? { items: [], resourceVersion: '' }
        },
      },
    })
    expect(asked).toEqual([undefined, 'two'])
    expect(reflector.list()).toHaveLength(2)
  })

  test('goes on after the end of a watch where it was, bookmarks counted', async () => {
    const { watches, send, state } = await start()
    await send(added('a', 11), bookmark(40), 'end')
    expect(watches.map(({ resourceVersion }) => resourceVersion)).toEqual(['10', '40'])
    expect(state.lists).toBe(1)
  })

  test('lists anew when its version has become too old, and tells what vanished meanwhile', async () => {
    const { changes, send, state, watches, clock } = await start([widgetJson('a', 5), widgetJson('b', 6)])
    state.list = () => ({ items: [widgetJson('b', 55)], resourceVersion: '60' })
    await send({ fail: expired() })
    await clock.advance(500)
    expect(state.lists).toBe(2)
    expect(changes.slice(2)).toEqual(['deleted a@5', 'updated b@55'])
    expect(watches.map(({ resourceVersion }) => resourceVersion)).toEqual(['10', '60'])
  })

  test('a failing watch is tried again from where it was, later each time, and no list is taken', async () => {
    const { send, state, watches, clock } = await start()
    state.refuse = new Error('connection refused')
    await send({ fail: new Error('connection reset') })
    for (const delay of [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      const before = watches.length
      await clock.advance(delay - 1)
      expect(watches.length, `before ${delay} ms`).toBe(before)
      await clock.advance(1)
      expect(watches.length, `after ${delay} ms`).toBe(before + 1)
    }
    expect(new Set(watches.map(({ resourceVersion }) => resourceVersion))).toEqual(new Set(['10']))
    expect(state.lists).toBe(1)
  })

  test('a failing first list is tried again', async () => {
    const server = createServer()
    let failing = true
    const { reflector, clock } = await start([], {
      client: {
        ...server.client,
        listPage: async () => {
          if (failing) throw new Error('connection refused')
          return { items: [widgetJson('a', 1)], resourceVersion: '2' }
        },
      },
    })
    expect(reflector.lastSync()).toBe(0)
    failing = false
    await clock.advance(500)
    await reflector.synced
    expect(reflector.get(key('a'))).toBeDefined()
    expect(reflector.lastSync()).toBe(clock.now().getTime())
  })

  test('watches that end at once with nothing in them are not tried in a tight loop', async () => {
    const { send, watches, clock } = await start()
    await send('end')
    expect(watches).toHaveLength(1)
    await clock.advance(500)
    expect(watches).toHaveLength(2)
    await send('end')
    await clock.advance(999)
    expect(watches).toHaveLength(2)
    await clock.advance(1)
    expect(watches).toHaveLength(3)
  })

  test('a watch without a word for three minutes is dead: it lists anew; a bookmark is a word', async () => {
    const { send, state, clock } = await start()
    await clock.advance(179_000)
    await send(bookmark(11))
    await clock.advance(179_000)
    expect(state.lists).toBe(1)
    await clock.advance(1_500)
    expect(state.lists).toBe(2)
  })

  test('an object that it cannot read is left out, and stops nothing', async () => {
    const metrics = createMetrics()
    const { reflector, send, changes, watches } = await start([widgetJson('bad', 4, 7), widgetJson('a', 5)], {
      metrics,
    })
    await send(modified('a', 11, 8), added('b', 12), { type: 'MODIFIED', object: { metadata: {} } }, added('c', 13))
    expect(changes).toEqual(['added a@5', 'added b@12', 'added c@13'])
    expect(reflector.get(key('a'))?.metadata.resourceVersion, 'the last readable state').toBe('5')
    expect(watches).toHaveLength(1)
    expect(await metrics.text()).toContain('reflector_errors_total{name="widgets",cause="parse"} 3')
  })

  test('the deletion of an object that it cannot read is a deletion', async () => {
    const { send, changes } = await start([widgetJson('a', 5)])
    await send(deleted('a', 11, 8))
    expect(changes).toEqual(['added a@5', 'deleted a@5'])
  })

  test('a list that holds an object it can no longer read does not tell of a deletion', async () => {
    const { send, changes, state, clock } = await start([widgetJson('a', 5)])
    state.list = () => ({ items: [widgetJson('a', 20, 8)], resourceVersion: '30' })
    await send({ fail: expired() })
    await clock.advance(500)
    expect(state.lists).toBe(2)
    expect(changes).toEqual(['added a@5'])
  })

  test('a handler that throws stops nothing', async () => {
    const seen: string[] = []
    const { send } = await start([widgetJson('a', 5)], {
      onChange: ({ object }) => {
        seen.push(object.metadata.name)
        throw new Error('of the handler')
      },
    })
    await send(added('b', 11))
    expect(seen).toEqual(['a', 'b'])
  })

  test('an abort ends it, and leaves no timer', async () => {
    const { stop, ended, clock } = await start()
    stop.abort()
    await ended
    expect(clock.pending()).toBe(0)
  })

  test('allSynced does not wait on when the signal is aborted', async () => {
    const server = createServer()
    const never = createReflector({ client: server.client, resource: widgets, log: silentLog })
    const { reflector } = await start()
    const stop = new AbortController()
    expect(await allSynced([reflector], stop.signal)).toBe(true)
    const waiting = allSynced([reflector, never], stop.signal)
    stop.abort()
    expect(await waiting).toBe(false)
  })
})

describe('a reflector on a server that sends all that is there as the first events of a watch', () => {
  test('asks for nothing else, and shows it all at once when the server says that this is all', async () => {
    const { reflector, watches, changes, send, state } = await start([], { streams: true })
    expect(watches).toMatchObject([{ resourceVersion: '', sendInitialEvents: true, timeoutSeconds: 600 }])
    await send(added('a', 5), added('b', 3), bookmark(9))
    expect(changes).toEqual([])
    expect(reflector.lastSync()).toBe(0)
    await send(endOfInitial(10))
    await reflector.synced
    expect(changes).toEqual(['added a@5', 'added b@3'])
    await send(modified('a', 11, 'blue'), 'end')
    expect(changes.slice(2)).toEqual(['updated a@11'])
    expect(watches[1], 'goes on from there').toMatchObject({ resourceVersion: '11' })
    expect(watches[1]).not.toHaveProperty('sendInitialEvents')
    expect(state.lists).toBe(0)
  })

  test('takes a change that comes among them', async () => {
    const { changes, send } = await start([], { streams: true })
    await send(added('a', 5), added('b', 6), modified('a', 8), deleted('b', 9), endOfInitial(10))
    expect(changes).toEqual(['added a@8'])
  })

  test('begins anew when the watch ends or fails among them: what had come is not shown', async () => {
    const { changes, send, watches, clock, state } = await start([], { streams: true })
    await send(added('a', 5), 'end')
    await clock.advance(500)
    await send(added('b', 6), { fail: new Error('connection reset') })
    await clock.advance(1_000)
    await send(added('c', 7), endOfInitial(10))
    expect(changes).toEqual(['added c@7'])
    expect(watches.map(({ sendInitialEvents }) => sendInitialEvents)).toEqual([true, true, true])
    expect(state.lists).toBe(0)
  })

  test('that has fallen behind takes it all anew, and tells what vanished meanwhile', async () => {
    const { changes, send, watches, clock } = await start([], { streams: true })
    await send(added('a', 5), added('b', 6), endOfInitial(10), { fail: expired() })
    await clock.advance(500)
    expect(watches[1]).toMatchObject({ resourceVersion: '', sendInitialEvents: true })
    await send(added('b', 55), endOfInitial(60))
    expect(changes.slice(2)).toEqual(['deleted a@5', 'updated b@55'])
  })

  test('does not tell of the deletion of what it can no longer read', async () => {
    const { changes, send, clock } = await start([], { streams: true })
    await send(added('a', 5), endOfInitial(10), { fail: expired() })
    await clock.advance(500)
    await send(added('a', 20, 8), endOfInitial(30))
    expect(changes).toEqual(['added a@5'])
  })

  test('lists, once and for all, when the server does not know that, or never comes to the end', async () => {
    const refused = await start([widgetJson('a', 5)])
    expect(refused.changes).toEqual(['added a@5'])
    await refused.send({ fail: expired() })
    await refused.clock.advance(500)
    expect(refused.state.lists).toBe(2)

    const silent = await start([widgetJson('a', 5)], { streams: true })
    await silent.clock.advance(180_000)
    expect(silent.changes).toEqual(['added a@5'])
  })
})

describe('the answer to one’s own write', () => {
  test('shows at once, and its watch event tells nothing new', async () => {
    const { reflector, send, changes } = await start([widgetJson('a', 5)])
    reflector.note(widget('a', 11, 'blue'))
    expect(reflector.by('color', 'blue')).toHaveLength(1)
    expect(changes).toEqual(['added a@5', 'updated a@11'])
    await send(modified('a', 11, 'blue'))
    expect(changes).toHaveLength(2)
  })

  test('is not undone by an older watch event, and gives way to a newer one', async () => {
    const { reflector, send } = await start([widgetJson('a', 5)])
    reflector.note(widget('a', 12, 'blue'))
    await send(modified('a', 11, 'green'))
    expect(reflector.get(key('a'))?.color).toBe('blue')
    await send(modified('a', 13, 'white'))
    expect(reflector.get(key('a'))?.color).toBe('white')
  })

  test('is left out when the watch was quicker', async () => {
    const { reflector, send, changes } = await start([widgetJson('a', 5)])
    await send(modified('a', 12, 'white'))
    reflector.note(widget('a', 11, 'blue'))
    expect(reflector.get(key('a'))?.color).toBe('white')
    expect(changes).toEqual(['added a@5', 'updated a@12'])
  })

  test('does not bring back what has been deleted since', async () => {
    const { reflector, send } = await start([widgetJson('a', 5)])
    await send(modified('a', 11), deleted('a', 12))
    reflector.note(widget('a', 11))
    expect(reflector.get(key('a'))).toBeUndefined()
  })

  test('of an object just made shows, and goes with its deletion', async () => {
    const { reflector, send, changes } = await start()
    reflector.note(widget('new', 11))
    await send(added('new', 11), deleted('new', 12))
    expect(changes).toEqual(['added new@11', 'deleted new@11'])
  })
})
