import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createSessions } from './session.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lamina-session-'))
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(folder, { recursive: true })
})

const file = async (name: string, content: string): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}
const configWith = (user: object): KubeConfig => {
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'test', server: 'https://127.0.0.1', skipTLSVerify: false },
    { name: 'me', ...user },
  )
  return config
}

describe('a session', () => {
  test('follows a service account’s token when it is rotated, on the same connections', async () => {
    const tokenFile = await file('token', 'one')
    const session = createSessions(configWith({ authProvider: { name: 'tokenFile', config: { tokenFile } } }))
    const first = await session()
    expect(first.headers).toEqual({ Authorization: 'Bearer one' })
    await file('token', 'two')
    // client-node holds a token for a minute, and we what it says for half of one.
    vi.advanceTimersByTime(91_000)
    const second = await session()
    expect(second.headers).toEqual({ Authorization: 'Bearer two' })
    expect(second.requests).toBe(first.requests)
    expect(second.watches).toBe(first.watches)
  })

  test('takes new connections when the client certificate is rotated', async () => {
    const user = { certFile: await file('crt', 'one'), keyFile: await file('key', 'k') }
    const session = createSessions(configWith(user))
    const first = await session()
    vi.advanceTimersByTime(31_000)
    expect((await session()).requests).toBe(first.requests)
    await file('crt', 'two')
    vi.advanceTimersByTime(31_000)
    const second = await session()
    expect(second.requests).not.toBe(first.requests)
    expect(second.watches).not.toBe(first.watches)
  })

  test('reads credentials once for all who ask at once', async () => {
    const config = configWith({ token: 't' })
    const read = vi.spyOn(config, 'applyToHTTPSOptions')
    const session = createSessions(config)
    await Promise.all([session(), session(), session()])
    await session()
    expect(read).toHaveBeenCalledTimes(1)
  })

  test('knows user and password', async () => {
    const session = await createSessions(configWith({ username: 'me', password: 'p' }))()
    expect(session.headers).toEqual({ Authorization: `Basic ${btoa('me:p')}` })
  })

  test('a token that cannot be read is told, and asked for again the next time', async () => {
    const tokenFile = join(folder, 'token')
    const session = createSessions(configWith({ authProvider: { name: 'tokenFile', config: { tokenFile } } }))
    await expect(session()).rejects.toThrow(tokenFile)
    await file('token', 'late')
    expect((await session()).headers).toEqual({ Authorization: 'Bearer late' })
  })
})
