import { Exec, type V1Status } from '@kubernetes/client-node'
import { CliError, exitCodes } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import { type Heeded, type Interrupts, signalExitCode } from '../interrupts.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { feed, heldBack } from './streams.ts'
import { createMarkerFilter, killWords, type Place, wrap } from './wrap.ts'

/** A command in a container of a pod. */
export interface RemoteCommand extends Place {
  pod: string
  container: string
  command: readonly string[]
  tty: boolean
}

/** Our own standard streams. */
export interface Streams {
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
}

const resizeChannel = 4
const pingMs = 10_000
/** So many Ctrl-C are heard by the command; the next one is for us. */
const patience = 3

type Ending = { kind: 'status'; status: V1Status } | { kind: 'closed' }

const refusalWords: Readonly<Record<string, string>> = {
  400: 'the cluster does not know what is asked: is there such a container in the pod?',
  401: 'the cluster does not take your credentials: log in again',
  403: 'not allowed: it takes the right to create pods/exec in this namespace',
  404: 'its pod is not there any more',
}

const connectionError = (error: unknown, pod: string): CliError => {
  const words = error instanceof Object && 'message' in error ? String(error.message) : String(error)
  const [, code = ''] = /Unexpected server response: (\d+)/.exec(words) ?? []
  const why = refusalWords[code] ?? words
  return new CliError(`no command can be run in ${pod}: ${why}`, { exitCode: exitCodes.notStarted, cause: error })
}

/** One try, with the command's words as they are sent. */
const attempt = async (
  { config, namespace }: Pick<Connection, 'config' | 'namespace'>,
  { pod, container, command, tty }: RemoteCommand,
  { stdin, stdout, stderr }: Streams,
  marker: string,
  interrupts: Interrupts,
): Promise<Outcome | { kind: 'broken' } | { kind: 'signalled'; signal: Heeded }> => {
  type Connected = Awaited<ReturnType<Exec['exec']>>
  let socket: Connected | undefined
  const ended = new AbortController()
  const filter = createMarkerFilter(marker)
  const out = heldBack(stdout, () => socket, filter.pass)
  const err = heldBack(stderr, () => socket)
  const input = feed(stdin, () => socket, ended.signal)
  const exec = new Exec(config)
  let tellStatus: (ending: Ending) => void = () => {}
  const ending = new Promise<Ending>((resolve) => {
    tellStatus = resolve
  })
  const asked = exec.exec(namespace, pod, container, [...command], out, tty ? null : err, input, tty, (status) =>
    tellStatus({ kind: 'status', status }),
  )
  socket = await asked.catch((error: unknown) => {
    throw connectionError(error, pod)
  })
  const connected = socket
  connected.addEventListener('close', () => tellStatus({ kind: 'closed' }))
  const ping = setInterval(() => connected.ping(), pingMs)

  const resize = (): void => {
    const size = JSON.stringify({ Width: stdout.columns, Height: stdout.rows })
    connected.send(Buffer.concat([Buffer.of(resizeChannel), Buffer.from(size)]))
  }
  let asks = 0
  let lost: Heeded | undefined
  const give = (signal: Heeded): void => {
    const pid = filter.pid()
    asks++
    if (pid !== undefined && asks <= patience) {
      const kill = { pod, container, command: killWords(signal, pid), tty: false }
      runQuietly({ config, namespace }, kill).catch(() => connected.terminate())
      return
    }
    lost = signal
    connected.terminate()
  }
  const release = interrupts.take(give)
  if (tty) {
    if (stdin.isTTY) stdin.setRawMode(true)
    if (stdout.isTTY) {
      resize()
      stdout.on('resize', resize)
    }
  }
  try {
    const end = await ending
    const rest = filter.end()
    if (rest.length > 0) stdout.write(rest)
    if (lost !== undefined) return { kind: 'signalled', signal: lost }
    return end.kind === 'status' ? outcomeOf(end.status) : { kind: 'broken' }
  } finally {
    clearInterval(ping)
    release()
    stdout.off('resize', resize)
    if (tty && stdin.isTTY) stdin.setRawMode(false)
    ended.abort()
    stdin.pause()
  }
}

/** A command whose output nobody reads. */
const runQuietly = async (
  { config, namespace }: Pick<Connection, 'config' | 'namespace'>,
  { pod, container, command }: RemoteCommand,
): Promise<void> => {
  const nowhere = heldBack(
    process.stderr,
    () => undefined,
    () => Buffer.alloc(0),
  )
  await new Promise<void>((resolve, reject) => {
    new Exec(config)
      .exec(namespace, pod, container, [...command], nowhere, nowhere, null, false, () => resolve())
      .then((socket) => socket.addEventListener('close', () => resolve()), reject)
  })
}

/**
 * Runs a command with our streams, terminal, signals and its exit code.
 *
 * @throws CliError when it cannot be started, or the connection breaks off
 */
export const runRemote = async (
  connection: Pick<Connection, 'config' | 'namespace'>,
  remote: RemoteCommand,
  { streams = process, interrupts }: { streams?: Streams; interrupts: Interrupts },
): Promise<number> => {
  const { marker, command } = wrap(remote.command, remote)
  const first = await attempt(connection, { ...remote, command }, streams, marker, interrupts)
  // An image without a shell: nothing has run yet, and nobody will tell a process id.
  const isShellMissing = first.kind === 'notStarted' && first.isProgramMissing && /"sh"/.test(first.message)
  const end = isShellMissing ? await attempt(connection, remote, streams, marker, interrupts) : first
  switch (end.kind) {
    case 'exited':
      return end.exitCode
    case 'signalled':
      return signalExitCode(end.signal)
    case 'broken':
      throw new CliError(`the connection to ${remote.pod} broke off; what runs there may still run`)
    case 'notStarted':
      throw new CliError(`${remote.command[0]}: ${end.message}`, { exitCode: end.exitCode })
  }
}
