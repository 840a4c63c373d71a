import { expect, test } from 'vitest'
import { candidatesFor } from '../../shared/completion/candidates.ts'
import { createProgram } from '../program.ts'
import { silentContext } from '../testing/context.ts'
import { vocabulary } from './vocabulary.ts'

const { root } = createProgram(silentContext, () => Promise.reject(new Error('no cluster is asked')), undefined)

const words = (...typed: string[]): string[] => candidatesFor(root, typed, vocabulary).words.map(({ word }) => word)
const names = (...typed: string[]): readonly string[] => candidatesFor(root, typed, vocabulary).names

test('verbs, and the verbs of verbs; none that is hidden', () => {
  expect(words('')).toEqual(expect.arrayContaining(['run', 'shell', 'ps', 'overlay', 'doctor']))
  expect(words('')).not.toContain('__complete')
  expect(words('overlay', '')).toEqual(['create', 'ls', 'du', 'check', 'resize'])
})

test('names where names are asked for', () => {
  expect(names('run', '')).toEqual(['images', 'instances'])
  expect(names('exec', '')).toEqual(['instances'])
  expect(names('stop', 'dev', '')).toEqual(['instances'])
  expect(names('overlay', 'du', 'a', 'b', '')).toEqual(['overlays'])
  expect(names('image', 'prefetch', '')).toEqual(['images'])
  expect(names('doctor', '')).toEqual(['subjects'])
})

test('values of flags, wherever they stand', () => {
  expect(names('run', '--overlay', '')).toEqual(['overlays'])
  expect(names('-n', '')).toEqual(['namespaces'])
  expect(names('ps', '--context', '')).toEqual(['contexts'])
  expect(words('ps', '-o', '')).toEqual(['wide', 'json', 'yaml'])
  expect(names('-n', 'team', 'logs', '')).toEqual(['instances'])
  expect(names('run', '--overlay=')).toEqual(['overlays'])
  expect(names('run', '--overlay=de')).toEqual(['overlays'])
  expect(words('ps', '--output=j')).toEqual(['wide', 'json', 'yaml'])
  expect(names('run', '--rm=')).toEqual([])
  expect(names('run', '--overlay=dev', '')).toEqual(['images', 'instances'])
})

test('flags, those of all verbs too', () => {
  expect(words('logs', '--')).toEqual(expect.arrayContaining(['--follow', '--tail', '--namespace']))
  expect(words('run', '--')).not.toContain('--pwd')
})

test('nothing beyond the last argument, nor of the command in the instance', () => {
  expect(candidatesFor(root, ['logs', 'dev', ''], vocabulary)).toEqual({ words: [], names: [] })
  expect(candidatesFor(root, ['run', 'debian', '--', 'ls', ''], vocabulary)).toEqual({ words: [], names: [] })
  expect(words('completion', '')).toEqual(['bash', 'zsh', 'fish'])
})
