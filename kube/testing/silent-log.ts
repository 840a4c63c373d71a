import { createLogger } from '../log.ts'

export const silentLog = createLogger('test', 'silent')
