import { constants } from 'node:os'

const isSignal = (name: string): name is NodeJS.Signals => name in constants.signals

/** The first and the last of the signals that have no names of their own, as glibc and musl leave them to programs. */
const realTime = { RTMIN: 34, RTMAX: 64 } as const

/** Of a signal as an image names it (`StopSignal` of the OCI image configuration); undefined when there is none such. */
export const signalNumber = (text: string): number | undefined => {
  const name = text.trim().toUpperCase().replace(/^SIG/, '')
  const [, end, offset = '0'] = /^(RTMIN|RTMAX)(?:[+-](\d+))?$/.exec(name) ?? []
  const full = `SIG${name}`
  const number = /^\d+$/.test(name)
    ? Number(name)
    : end === 'RTMIN'
      ? realTime.RTMIN + Number(offset)
      : end === 'RTMAX'
        ? realTime.RTMAX - Number(offset)
        : isSignal(full)
          ? constants.signals[full]
          : undefined
  return number !== undefined && number >= 1 && number <= realTime.RTMAX ? number : undefined
}
