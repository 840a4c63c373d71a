import { readFileSync } from 'node:fs'

/** Differs after each boot of the node; the Node object shows it as `status.nodeInfo.bootID`. */
export const currentBootID = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
