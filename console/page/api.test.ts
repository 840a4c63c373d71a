import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createApi } from './api.ts'

/** A WebSocket whose other side never agrees to a close. */
class LonelySocket {
  static made: LonelySocket[] = []
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: (() => void) | null = null
  isClosing = false
  constructor() {
    LonelySocket.made.push(this)
  }
  close(): void {
    this.isClosing = true
  }
}

beforeEach(() => {
  LonelySocket.made = []
  vi.stubGlobal('WebSocket', LonelySocket)
})
afterEach(() => vi.unstubAllGlobals())

const at = { namespace: 'team', plural: 'instances', resourceVersion: '1' } as const

test('a watch that is given up is over at once, whatever the network does', async () => {
  const stop = new AbortController()
  const heard: unknown[] = []
  const watching = createApi('token').watch(at, (event) => heard.push(event), stop.signal)
  const [socket] = LonelySocket.made
  socket?.onmessage?.({ data: '{"type":"ADDED"}' })
  stop.abort()
  await watching
  expect(socket?.isClosing).toBe(true)
  expect(socket?.onmessage).toBe(null)
  expect(heard).toEqual([{ type: 'ADDED' }])
})

test('a request that nobody answers is given up', async () => {
  const limits = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new Error('late')))
  const list = createApi('token').list('team', 'instances')
  await expect(list).rejects.toThrow()
  expect(limits).toHaveBeenCalledWith(70_000)
  limits.mockRestore()
})
