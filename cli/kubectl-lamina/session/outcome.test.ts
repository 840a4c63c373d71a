import { expect, test } from 'vitest'
import { outcomeOf } from './outcome.ts'

const failure = (message: string) => ({ status: 'Failure', message, reason: 'InternalError' })
const runc = (words: string): string =>
  `Internal error occurred: error executing command in container: failed to exec in container: OCI runtime exec failed: exec failed: unable to start container process: ${words}`

test('the exit code is that of the command', () => {
  expect(outcomeOf({ status: 'Success' })).toEqual({ kind: 'exited', exitCode: 0 })
  expect(
    outcomeOf({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '137' }] },
    }),
  ).toEqual({ kind: 'exited', exitCode: 137 })
})

test('a program that is not there, or may not be run, has the exit codes of shells', () => {
  expect(outcomeOf(failure(runc('exec: "foo": executable file not found in $PATH: unknown')))).toEqual({
    kind: 'notStarted',
    exitCode: 127,
    message: 'exec: "foo": executable file not found in $PATH: unknown',
    isProgramMissing: true,
  })
  expect(outcomeOf(failure(runc('exec: "/etc/passwd": permission denied: unknown')))).toMatchObject({ exitCode: 126 })
})

test('all else was not started for another reason', () => {
  expect(outcomeOf(failure('the node is away'))).toMatchObject({ exitCode: 125, isProgramMissing: false })
})

test.each([
  'container not found ("main")',
  'Internal error occurred: error executing command in container: failed to exec in container: failed to create exec "d683": task fb86 not found',
  runc('cannot exec in a stopped container'),
])('a container that has ended meanwhile is told from that: %s', (message) => {
  expect(outcomeOf(failure(message))).toEqual({ kind: 'late' })
})
