import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Component } from './components.ts'

const restartDelayMs = 200

/** A program that is run again when it ends. */
export interface Supervised {
  start(): void
  /** Ends the process with the signal and does not start it again. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Ends the process with the signal; it starts again by itself. */
  kill(signal: NodeJS.Signals): void
}

/** @param logFile what the program says, of all its lives */
const supervise = (component: Component, logFile: string): Supervised => {
  const [program, ...args] = component.command
  let wanted = false
  let child: ChildProcess | undefined
  let ended = Promise.resolve()

  const launch = (): void => {
    const log = openSync(logFile, 'a')
    const process_ = spawn(program, args, {
      env: { ...process.env, ...component.env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    child = process_
    ended = new Promise((resolve) => {
      process_.once('error', (error) => writeFileSync(logFile, `${error}\n`, { flag: 'a' }))
      process_.once('close', () => {
        child = undefined
        resolve()
        if (wanted) setTimeout(() => wanted && !child && launch(), restartDelayMs)
      })
    })
  }
  return {
    start: () => {
      wanted = true
      if (!child) launch()
    },
    stop: async (signal = component.stopSignal ?? 'SIGTERM') => {
      wanted = false
      child?.kill(signal)
      await ended
    },
    kill: (signal) => {
      child?.kill(signal)
    },
  }
}

/** By name; none runs yet. */
export const superviseAll = (
  components: readonly Component[],
  logDir: string,
  prefix = '',
): ReadonlyMap<string, Supervised> =>
  new Map(
    components.map((component) => [
      component.name,
      supervise(component, join(logDir, `${prefix}${component.name}.log`)),
    ]),
  )

const signals: Record<string, NodeJS.Signals> = {
  SIGTERM: 'SIGTERM',
  SIGKILL: 'SIGKILL',
  SIGSTOP: 'SIGSTOP',
  SIGCONT: 'SIGCONT',
}

/** `POST /<component>/<start | stop | kill>?signal=…` */
export const serveControl = (socket: string, supervised: ReadonlyMap<string, Supervised>): void => {
  const handle = async (url: URL): Promise<number> => {
    const [, name = '', action] = url.pathname.split('/')
    const component = supervised.get(name)
    if (!component) return 404
    const signalName = url.searchParams.get('signal')
    const signal = signalName === null ? undefined : signals[signalName]
    if (signalName !== null && signal === undefined) return 400
    if (action === 'start') component.start()
    else if (action === 'stop') await component.stop(signal)
    else if (action === 'kill') component.kill(signal ?? 'SIGTERM')
    else return 400
    return 204
  }
  rmSync(socket, { force: true })
  createServer(async (request, response) => {
    response.statusCode = await handle(new URL(request.url ?? '/', 'http://supervisor'))
    response.end()
  }).listen(socket)
}
