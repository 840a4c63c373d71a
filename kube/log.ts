import pino from 'pino'

export type Logger = pino.Logger

/**
 * JSON lines on standard output. A line about an object carries `{kind,
 * namespace, name}`, so the logger's own name is `component`. The destination is
 * a plain, synchronous one: pino's transports do not survive bundling, and
 * nothing is lost at an exit.
 */
export const createLogger = (name: string, level = 'info'): Logger =>
  pino(
    {
      level,
      base: { component: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 1, sync: true }),
  )
