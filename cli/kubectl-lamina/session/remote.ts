import { Exec, type V1Status } from '@kubernetes/client-node'
import { CliError, exitCodes } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import { type Heeded, type Interrupts, signalExitCode } from '../interrupts.ts'
import { awaitConnection } from './await-connection.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { createPulse } from './pulse.ts'
import { feed, heldBack, nowhere } from './streams.ts'
import { lendTerminal } from './terminal.ts'
import { createMarkerFilter, killWords, type Place, wrap } from './wrap.ts'

/** A command in a container of a pod. */
export interface RemoteCommand extends Place {
  pod: string
  container: string
  command: readonly string[]
  tty: boolean
}

type Where = Pick<Connection, 'config' | 'namespace'>
type Streams = Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>
type Ending = Outcome | { kind: 'broken' } | { kind: 'signalled'; signal: Heeded }

const pingMs = 10_000
/** So many signals are the command's; the next one is for us. */
const patience = 3

const refusalWords: Readonly<Record<string, string>> = {
  400: 'the cluster does not know what is asked: is there such a container in the pod?',
  401: 'the cluster does not take your credentials: log in again',
  403: 'not allowed: it takes the right to create pods/exec in this namespace',
  404: 'its pod is not there any more',
}

/** kubectl proxy, over which plain HTTP goes, says so little of what it does not let through. */
const refusedByProxy =
  "refused (403): kubectl proxy lets no commands through unless it is started with --reject-paths='^$'; if it was, it takes the right to create pods/exec in this namespace"

export const connectionError = (error: unknown, pod: string, isPlain: boolean): CliError => {
  const words = error instanceof Object && 'message' in error ? String(error.message) : String(error)
  const [, code = ''] = /Unexpected server response: (\d+)/.exec(words) ?? []
  const why = isPlain && code === '403' ? refusedByProxy : (refusalWords[code] ?? words)
  return new CliError(`no command can be run in ${pod}: ${why}`, { exitCode: exitCodes.notStarted, cause: error })
}

/** Runs a command whose output nobody reads. */
const runQuietly = async ({ config, namespace }: Where, remote: Omit<RemoteCommand, 'tty'>): Promise<void> => {
  const { pod, container, command } = remote
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = (): void => resolve()
  const exec = new Exec(config)
  const socket = await exec.exec(namespace, pod, container, [...command], nowhere(), nowhere(), null, false, done)
  socket.addEventListener('close', done)
  await promise
}

/**
 * One try, with the command's words as they are sent.
 *
 * @param marker what its first line begins with, where it is wrapped; our input is not read before that has come
 */
const attempt = async (
  where: Where,
  { pod, container, command, tty }: RemoteCommand,
  { marker, streams, interrupts }: { marker?: string; streams: Streams; interrupts: Interrupts },
): Promise<Ending> => {
  const { config, namespace } = where
  let socket: Awaited<ReturnType<Exec['exec']>> | undefined
  const { promise: ended, resolve: end, reject: giveUp } = Promise.withResolvers<Ending>()
  const over = new AbortController()
  const pulse = createPulse()
  const input = feed(streams.stdin, () => socket, { signal: over.signal, sent: pulse.sent })
  const filter = createMarkerFilter(marker ?? '')
  const passOutput = (chunk: Buffer): Buffer => {
    const bytes = filter.pass(chunk)
    if (filter.hasJudged()) input.begin()
    return bytes
  }
  const output = heldBack(streams.stdout, () => socket, marker === undefined ? undefined : passOutput)
  const errors = tty ? null : heldBack(streams.stderr, () => socket)
  const onStatus = (status: V1Status): void => end(outcomeOf(status))
  const connecting = new Exec(config).exec(
    namespace,
    pod,
    container,
    [...command],
    output,
    errors,
    input.stream,
    tty,
    onStatus,
  )
  const connected = await awaitConnection(connecting, interrupts.signal).catch((error: unknown) => {
    interrupts.signal.throwIfAborted()
    throw connectionError(error, pod, config.getCurrentCluster()?.server.startsWith('http:') === true)
  })
  socket = connected
  connected.addEventListener('close', () => end({ kind: 'broken' }))
  connected.addEventListener('message', pulse.heard)
  connected.on('pong', pulse.answered)
  if (marker === undefined) input.begin()

  let asks = 0
  const give = (signal: Heeded): void => {
    const pid = filter.pid()
    asks++
    if (pid !== undefined && asks <= patience) {
      runQuietly(where, { pod, container, command: killWords(signal, pid) }).catch(() => connected.terminate())
      return
    }
    end({ kind: 'signalled', signal })
  }
  const release = interrupts.take(give)
  const leaveOff = (): void => giveUp(interrupts.signal.reason)
  interrupts.signal.addEventListener('abort', leaveOff)
  const takeBack = tty ? lendTerminal(streams, (message) => connected.send(message)) : () => {}
  const ping = setInterval(() => {
    if (pulse.isLost(connected.isPaused)) end({ kind: 'broken' })
    else connected.ping()
  }, pingMs)
  try {
    const ending = await ended
    streams.stdout.write(filter.end())
    return ending
  } finally {
    clearInterval(ping)
    interrupts.signal.removeEventListener('abort', leaveOff)
    release()
    takeBack()
    over.abort()
    connected.terminate()
  }
}

/**
 * Runs a command with our streams, terminal, signals and its exit code.
 *
 * @throws CliError when it cannot be started, or the connection breaks off
 */
export const runRemote = async (
  where: Where,
  remote: RemoteCommand,
  { streams = process, interrupts }: { streams?: Streams; interrupts: Interrupts },
): Promise<number> => {
  const { marker, command } = wrap(remote.command, remote)
  const first = await attempt(where, { ...remote, command }, { marker, streams, interrupts })
  // An image without a shell: nothing has run yet, and nobody will tell a process id.
  const isShellMissing = first.kind === 'notStarted' && first.isProgramMissing && /"sh"/.test(first.message)
  const ending = isShellMissing ? await attempt(where, remote, { streams, interrupts }) : first
  switch (ending.kind) {
    case 'exited':
      return ending.exitCode
    case 'signalled':
      return signalExitCode(ending.signal)
    case 'broken':
      throw new CliError(`the connection to ${remote.pod} broke off; what runs there may still run`)
    case 'late':
      throw new CliError(
        `instance ${remote.pod} has ended before ${remote.command[0]} could be run in it: kubectl lamina logs ${remote.pod}`,
        { exitCode: exitCodes.notStarted },
      )
    case 'notStarted':
      throw new CliError(`${remote.command[0]}: ${ending.message}`, { exitCode: ending.exitCode })
  }
}
