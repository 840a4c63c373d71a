import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { ApiError } from '../../../kube/client.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { createManualClock } from '../../../kube/testing/manual-clock.ts'
import { genPod } from '../../../test/gen/objects.ts'
import type { Observed } from './observe.ts'
import { createIdleWatch } from './watch.ts'

const asked = { annotations: { 'lamina.dev/report-idle': 'AtChanges' } }
const quiet = { cpuMs: 0, sessions: [] }
const bash = { cpuMs: 0, sessions: [{ command: 'bash', ageMs: 60_000 }] }
const bodySchema = z.object({ status: z.object({ conditions: z.array(z.record(z.string(), z.string())).length(1) }) })

/** A node with one pod; what it writes is in the pod at the next look. */
const createNode = (metadata: object = asked) => {
  const clock = createManualClock()
  const node = {
    pod: genPod('dev', { metadata }),
    observed: quiet as Observed | undefined,
    containerID: 'c1',
    written: [] as (Record<string, string> | undefined)[],
    answer: undefined as Error | undefined,
    looks: 0,
    restart: (): void => {
      watch = createWatch()
    },
    /** One look after each ten seconds. */
    pass: async (seconds: number): Promise<void> => {
      for (let passed = 0; passed < seconds; passed += 10) {
        await clock.advance(10_000)
        await watch.look()
      }
    },
    ask: (time: string): void => {
      const { metadata: before, ...rest } = node.pod
      node.pod = { ...rest, metadata: { ...before, annotations: { 'lamina.dev/report-idle': time } } }
    },
  }
  const createWatch = () =>
    createIdleWatch({
      clock,
      client: {
        apply: async (resource, body) => {
          if (node.answer) throw node.answer
          const { conditions } = bodySchema.parse(body).status
          node.written.push(conditions[0])
          return resource.parse({ ...node.pod, status: { conditions } })
        },
      },
      pods: () => [node.pod],
      recordOf: () => ({ containerID: node.containerID, createTime: '', pidFile: '', instance: null, overlays: [] }),
      observe: () => {
        node.looks++
        return node.observed
      },
      note: (pod: Pod) => {
        node.pod = pods.parse({ ...pod })
      },
    })
  let watch = createWatch()
  return node
}

const words = 'no process by exec, less than 20 thousandths of a core'

describe('what a node says of a pod that somebody asks about', () => {
  test('that nobody uses it, once, when that has been so for half a minute: with the time since when', async () => {
    const node = createNode()
    await node.pass(40)
    expect(node.written).toEqual([])
    await node.pass(600)
    expect(node.written).toEqual([
      {
        ...{ type: 'lamina.dev/Idle', status: 'True', reason: 'NotUsed', message: words },
        ...{ lastTransitionTime: '2026-01-01T00:00:20Z', lastProbeTime: '2026-01-01T00:00:50Z' },
      },
    ])
  })

  test('at once that somebody does again', async () => {
    const node = createNode()
    await node.pass(50)
    node.observed = bash
    await node.pass(10)
    expect(node.written.at(-1)).toMatchObject({ status: 'False', message: 'processes by exec: 1 (bash)' })
    await node.pass(100)
    expect(node.written).toHaveLength(2)
    node.observed = quiet
    await node.pass(50)
    expect(node.written.at(-1)).toMatchObject({ status: 'True', lastTransitionTime: '2026-01-01T00:02:50Z' })
  })

  test('nothing of one that is used all the time', async () => {
    const node = createNode()
    node.observed = bash
    await node.pass(600)
    expect(node.written).toEqual([])
  })

  test('again, where a look at a later time is asked for', async () => {
    const node = createNode()
    await node.pass(60)
    node.ask('2026-01-01T00:02:00Z')
    await node.pass(50)
    expect(node.written).toHaveLength(1)
    await node.pass(30)
    expect(node.written).toHaveLength(2)
    expect(node.written.at(-1)).toMatchObject({
      ...{ status: 'True', lastTransitionTime: '2026-01-01T00:00:20Z', lastProbeTime: '2026-01-01T00:02:00Z' },
    })
  })

  test('nothing unasked: it is not even looked at', async () => {
    const node = createNode({})
    await node.pass(600)
    expect(node.looks).toBe(0)
  })

  test('a container that is started anew, or an agent, begins anew', async () => {
    const node = createNode()
    await node.pass(60)
    node.containerID = 'c2'
    await node.pass(60)
    expect(node.written.at(-1)).toMatchObject({ lastTransitionTime: '2026-01-01T00:01:20Z' })
    node.restart()
    await node.pass(60)
    expect(node.written.at(-1)).toMatchObject({ lastTransitionTime: '2026-01-01T00:02:20Z' })
  })

  test('what could not be told is told at a later look', async () => {
    const node = createNode()
    node.answer = new Error('no answer')
    await expect(node.pass(60)).rejects.toThrow('no answer')
    node.answer = undefined
    await node.pass(10)
    expect(node.written).toHaveLength(1)
  })

  test('a pod that has gone needs no word', async () => {
    const node = createNode()
    node.answer = new ApiError('gone', { status: 404, reason: 'NotFound' })
    await node.pass(100)
    expect(node.written).toEqual([])
  })
})
