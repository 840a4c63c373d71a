import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from '../../shared/refusal.ts'

export const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Where a program of the host is. @throws Refusal naming the package that has it */
export const findOnHost = (name: string, packageName: string): string => {
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/bin', '/usr/sbin', '/bin', '/sbin']
  const found = directories.map((directory) => join(directory, name)).find(isExecutable)
  if (found === undefined) throw new Refusal(`${name} is not installed: install the package ${packageName}`)
  return found
}
