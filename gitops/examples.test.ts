import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { kinds } from '../crds/generate.ts'
import { apiVersion } from '../kube/names.ts'

const root = join(import.meta.dirname, '..')
const yamlIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.yaml'))
    .map((path) => join(folder, path))

const manifest = z.looseObject({ apiVersion: z.string(), kind: z.string(), spec: z.unknown().optional() })
type Manifest = z.infer<typeof manifest>

const documentsOf = (text: string): Manifest[] =>
  parseAllDocuments(text).flatMap((document) => manifest.safeParse(document.toJS()).data ?? [])

const kustomization = z.object({
  resources: z.array(z.string()).default([]),
  components: z.array(z.string()).default([]),
  configurations: z.array(z.string()).default([]),
  patches: z.array(z.object({ patch: z.string() })).default([]),
})

const kustomizations = yamlIn('gitops/kustomize').filter((path) => path.endsWith('/kustomization.yaml'))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** What the schema says of fields that are there: a patch gives only some. */
const complaints = ({ kind, spec = {} }: Manifest): string[] => {
  const definition = kinds.find((each) => each.kind === kind)
  const { error } = definition?.spec.strict().safeParse(spec) ?? {}
  return (error?.issues ?? [])
    .filter(({ code, message }) => !(code === 'invalid_type' && message.endsWith('received undefined')))
    .map(({ path, message }) => `${kind} spec.${path.join('.')}: ${message}`)
}

describe('the Kustomize examples', () => {
  test('name files and folders that are there', () => {
    const missing = kustomizations.flatMap((path) => {
      const { resources, components, configurations } = kustomization.parse(parse(read(path)))
      return [...resources, ...components, ...configurations]
        .map((each) => join(dirname(path), each))
        .filter((each) => !existsSync(join(root, each)))
    })
    expect(kustomizations.length).toBeGreaterThan(5)
    expect(missing).toEqual([])
  })

  test('have objects and patches as the schemas want them', () => {
    const patches = kustomizations.flatMap((path) =>
      kustomization.parse(parse(read(path))).patches.flatMap(({ patch }) => documentsOf(patch)),
    )
    const objects = yamlIn('gitops/kustomize').flatMap((path) => documentsOf(read(path)))
    const ours = [...objects, ...patches].filter((each) => each.apiVersion === apiVersion)
    expect(ours.length).toBeGreaterThan(6)
    expect(ours.flatMap(complaints)).toEqual([])
  })
})

test('the examples for Flux and Argo CD name a folder that is there', () => {
  const named = [...yamlIn('gitops/flux'), 'gitops/argocd/application.yaml']
    .flatMap((path) => [...read(path).matchAll(/^ +path: (\S+)$/gm)])
    .map(([, path = '']) => path)
  expect(named).toHaveLength(3)
  expect(named.filter((path) => !existsSync(join(root, path, 'kustomization.yaml')))).toEqual([])
})
