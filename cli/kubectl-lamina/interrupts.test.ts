import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { CliError } from '../shared/cli-error.ts'
import { createInterrupts } from './interrupts.ts'

const start = () => {
  const events = new EventEmitter()
  const exits: number[] = []
  const exit = (code: number): never => {
    exits.push(code)
    throw new Error('exit')
  }
  const interrupts = createInterrupts({ on: (name, heard) => events.on(name, heard), exit })
  return { ...interrupts, exits, send: (name: string) => events.emit(name) }
}

test('the first signal asks to leave off, the second one ends at once', () => {
  const { signal, exits, send } = start()
  send('SIGINT')
  expect(signal.reason).toMatchObject({ message: '', exitCode: 130 })
  expect(exits).toEqual([])
  expect(() => send('SIGTERM')).toThrow('exit')
  expect(exits).toEqual([143])
})

test('a terminal that closes may hang up twice, and what was begun is still cleaned up', () => {
  const { signal, exits, send } = start()
  send('SIGHUP')
  send('SIGHUP')
  expect(signal.aborted).toBe(true)
  expect(exits).toEqual([])
})

test('an output that nobody takes leaves the first signal to whoever is impatient', () => {
  const { signal, abandon, exits, send } = start()
  abandon(new CliError('', { exitCode: 0 }))
  send('SIGINT')
  expect(signal.reason).toMatchObject({ exitCode: 0 })
  expect(exits).toEqual([])
})

test('signals that somebody takes are his', () => {
  const { signal, take, send } = start()
  const taken: string[] = []
  const release = take((name) => taken.push(name))
  send('SIGINT')
  send('SIGINT')
  expect(taken).toEqual(['SIGINT', 'SIGINT'])
  expect(signal.aborted).toBe(false)
  release()
  send('SIGINT')
  expect(signal.aborted).toBe(true)
})
