import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { assertPortsFree } from './ports.ts'

const listenerOn = async (host: string) => {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return { port: address.port, close: () => once(server.close(), 'close') }
}

test.each(['127.0.0.1', '::1'])(
  'a port that is listened on at %s is named with its use and its holder',
  async (host) => {
    const { port, close } = await listenerOn(host)
    await expect(assertPortsFree({ registry: port })).rejects.toThrow(
      `port ${port} (for registry) is held by process ${process.pid} (`,
    )
    await close()
    await expect(assertPortsFree({ registry: port })).resolves.toBeUndefined()
  },
)
