/** What the quickstart does while Kubernetes is compiled for the first time. */
import { areBinariesBuilt, ensureBinaries } from '../test/cluster/builds.ts'
import { openCluster } from '../test/cluster/cluster.ts'
import { tellLocalStory } from './local-story.ts'
import type { Narrator } from './narrator.ts'
import { raiseDescendants } from './priority.ts'

interface Beginning {
  isClusterUp: boolean
  areBinariesBuilt: boolean
}

/** Whether there are minutes to wait for the cluster. */
export const isWaitAhead = ({ isClusterUp, areBinariesBuilt }: Beginning): boolean => !isClusterUp && !areBinariesBuilt

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const
type Signal = (typeof signals)[number]

/** Ctrl-C and the like abort the signal that `act` gets; once `act` has cleaned up they end the process as ever. */
const untilInterrupted = async (act: (signal: AbortSignal) => Promise<void>): Promise<void> => {
  const controller = new AbortController()
  let received: Signal | undefined
  const interrupt = (signal: Signal): void => {
    received = signal
    controller.abort(new Error('interrupted'))
  }
  for (const signal of signals) process.on(signal, interrupt)
  try {
    await act(controller.signal)
  } finally {
    for (const signal of signals) process.off(signal, interrupt)
    if (received) process.kill(process.pid, received)
  }
}

export interface Telling {
  /** Ends by itself soon after its signal is aborted. */
  compile(manner: { givesWay: () => boolean; signal: AbortSignal }): Promise<unknown>
  tell(signal: AbortSignal): Promise<void>
  /** The story is over: what is compiled needs not give way any more. */
  raise(): void
}

/**
 * Tells the story while the compile goes on, then waits for that. A story that
 * fails ends the compile; a compile that fails does not cut the story short.
 *
 * @param onCompileFailure while the story is being told; it is thrown after that
 * @throws what the story fails of, or else the compile
 */
export const tellWhileCompiling = async (
  { compile, tell, raise }: Telling,
  onCompileFailure: () => void,
  interruption: AbortSignal,
): Promise<void> => {
  const failure = new AbortController()
  const signal = AbortSignal.any([failure.signal, interruption])
  let isTelling = true
  const compiling = compile({ givesWay: () => isTelling, signal })
  const ended = compiling.then(
    () => {},
    () => {
      if (isTelling && !signal.aborted) onCompileFailure()
    },
  )
  try {
    await tell(signal)
  } catch (error) {
    failure.abort(error)
    await ended
    throw error
  }
  isTelling = false
  raise()
  await compiling
}

/** Tells the story on this machine alone where it would otherwise be a wait of minutes; then Kubernetes is compiled. */
export const firstMinutes = async (narrator: Narrator, clusterName: string): Promise<void> => {
  const isClusterUp = (await openCluster(clusterName)) !== undefined
  if (!isWaitAhead({ isClusterUp, areBinariesBuilt: await areBinariesBuilt() })) return

  narrator.report('Kubernetes is compiled, once: ten to twenty minutes on two cores. Meanwhile the story without it')
  const telling: Telling = {
    compile: (manner) => ensureBinaries(narrator.progress, manner),
    tell: async (signal) => {
      await tellLocalStory(narrator, signal)
      narrator.say()
      narrator.report('seen to persist. What follows is the same on Kubernetes, as soon as that is compiled')
    },
    raise: () => raiseDescendants(process.pid),
  }
  const onCompileFailure = (): void => {
    narrator.endProgress()
    narrator.report('Kubernetes could not be compiled: why is told after this story')
  }
  try {
    await untilInterrupted((signal) => tellWhileCompiling(telling, onCompileFailure, signal))
  } finally {
    narrator.endProgress()
  }
  narrator.report('Kubernetes is compiled')
}
