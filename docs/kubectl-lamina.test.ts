import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createProgram } from '../cli/kubectl-lamina/program.ts'
import { silentContext } from '../cli/kubectl-lamina/testing/context.ts'
import { shownVerbs } from '../cli/shared/shown-verbs.ts'

const page = readFileSync(join(import.meta.dirname, 'kubectl-lamina.md'), 'utf8')

const { root } = createProgram(silentContext, () => Promise.reject(new Error('no cluster is asked')), undefined)

const shown = shownVerbs(root).filter((command) => command.name() !== 'help')

test('the page has every verb, and the verbs of verbs', () => {
  const missing = shown
    .flatMap((command) => [command.name(), ...shownVerbs(command).map((each) => each.name())])
    .filter((verb) => !new RegExp(`[\`|\\s\\\\]${verb}\\b`).test(page))
  expect(missing).toEqual([])
})

test('every verb that it calls by "kubectl lamina" is one', () => {
  const called = [...page.matchAll(/kubectl lamina ([a-z]+)/g)].map(([, verb = '']) => verb)
  const known = shown.map((command) => command.name())
  expect(called.length).toBeGreaterThan(3)
  expect(called.filter((verb) => !known.includes(verb))).toEqual([])
})

test('every flag in it is one of a verb', () => {
  const all = [root, ...shown, ...shown.flatMap(({ commands }) => commands)].flatMap(({ options }) => options)
  const foreign = new Set([
    '--as',
    '--reject-paths',
    '--server',
    '--token',
    '--release-url',
    '--global',
    '--manifest',
    '--archive',
  ])
  const named = [...page.matchAll(/(?<![\w-])--[a-z][a-z0-9-]+/g)].map(([flag]) => flag)
  const known = new Set(all.map(({ long }) => long))
  expect(named.filter((flag) => !known.has(flag) && !foreign.has(flag))).toEqual([])
})

test('its links lead somewhere', () => {
  const links = [...page.matchAll(/\]\((?!https:)([^)#]+)/g)].map(([, path = '']) => path)
  expect(links.length).toBeGreaterThan(1)
  expect(links.filter((path) => !existsSync(join(import.meta.dirname, path)))).toEqual([])
})
