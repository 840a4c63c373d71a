import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findings } from '../gitops/generate.ts'

const page = readFileSync(join(import.meta.dirname, 'gitops.md'), 'utf8')

test('the table of what tools see has all findings of the controller, and no others', () => {
  const rows = [...page.matchAll(/^(\| (?:ContainerImage|PersistentOverlay|Instance) \| `\w+` \| \w+ \| \w+ \|)/gm)]
  const seen = findings.map(({ kind, kstatus, health }) => {
    const [reason] = health.message.split(/[;:]/)
    return `| ${kind} | \`${reason}\` | ${kstatus} | ${health.status} |`
  })
  expect(rows.map(([, row]) => row).toSorted()).toEqual([...new Set(seen)].toSorted())
})

test('its links lead somewhere', () => {
  const links = [...page.matchAll(/\]\((?!https:)([^)#]+)\)/g)].map(([, path = '']) => path)
  expect(links.length).toBeGreaterThan(5)
  expect(links.filter((path) => !existsSync(join(import.meta.dirname, path)))).toEqual([])
})
