import { stringify } from 'yaml'

/** Loaded by its own module: who wants no YAML does not pay for it. */
export const toYaml = (value: unknown): string => stringify(value)
