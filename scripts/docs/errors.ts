/** Writes docs/errors.md from the wrong inputs that the tests try, and what they see said. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import * as z from 'zod'
import { wrongInputs as ofPlugin } from '../../cli/kubectl-lamina/wrong-inputs.ts'
import { wrongInputs as ofLamina } from '../../cli/lamina/wrong-inputs.ts'
import type { WrongInputs } from '../../cli/shared/wrong-input.ts'
import { wrongObjects } from '../../test/e2e/wrong-manifests/conditions.ts'
import { rules as imageRules } from '../../test/e2e/wrong-manifests/images.ts'
import { rules as instanceRules } from '../../test/e2e/wrong-manifests/instances.ts'
import { rules as overlayRules, updates } from '../../test/e2e/wrong-manifests/overlays.ts'
import type { Judged, Rule } from '../../test/e2e/wrong-manifests/rule.ts'
import { mistakes } from '../../test/e2e/wrong-manifests/schemas.ts'

/** Nobody counts the letters of a name that is too long. */
const abridged = (text: string): string => text.replaceAll(/(\w)\1{15,}/g, '$1$1$1…')

const codeLine = (line: string): string => {
  const fence = line.includes('`') ? '``' : '`'
  return `${fence}${line.replaceAll('|', '\\|')}${fence}`
}

const code = (text: string): string => abridged(text).split('\n').map(codeLine).join('<br>')

const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const ofCommandLine = (program: string, subjects: readonly WrongInputs[]): string[] =>
  subjects.flatMap(({ about, inputs }) => [
    `### ${program}: ${about}`,
    table(
      ['Typed', 'Said', 'Exit code'],
      inputs.map(([typed, exitCode, told]) => [code(`${program} ${typed}`), code(told), String(exitCode)]),
    ),
  ])

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.record(z.string(), z.unknown()).default({}),
})

const inline = (fields: object): string =>
  stringify(fields, { collectionStyle: 'flow', lineWidth: 0, aliasDuplicateObjects: false })
    .trim()
    .replace(/^\{ (.*) \}$/s, '$1')

/** The image that all Instances here run on, and lists that are as good as left out. */
const isUsual = (field: string, value: unknown): boolean => {
  const text = JSON.stringify(value)
  return (field === 'imageRef' && text === '{"name":"debian"}') || (field === 'overlays' && text === '[]')
}

const specOf = (manifest: Judged): string => {
  const { spec } = manifestSchema.parse(manifest)
  return inline(Object.fromEntries(Object.entries(spec).filter(([field, value]) => !isUsual(field, value))))
}

const nameOf = (manifest: Judged): string =>
  inline({ metadata: { name: manifestSchema.parse(manifest).metadata.name } })

const kindOf = (manifest: Judged): string => manifestSchema.parse(manifest).kind

const refusals = (rules: readonly Rule[], shown: (rule: Rule, first: Judged) => string): string =>
  table(
    ['Spec', 'Said'],
    rules.flatMap((rule) =>
      rule.refused.slice(0, 1).map((first) => [shown(rule, first), code(`${rule.at}: ${rule.message}`)]),
    ),
  )

const created = ({ message }: Rule, first: Judged): string =>
  code(message.startsWith('metadata.name') ? nameOf(first) : specOf(first))

const changes = table(
  ['Spec before', 'Spec applied', 'Said'],
  updates.flatMap(({ before, refused, at, message }) =>
    refused.slice(0, 1).map((first) => [code(specOf(before)), code(specOf(first)), code(`${at}: ${message}`)]),
  ),
)

const bySchema = table(
  ['What is wrong', 'Kind', 'Spec', 'Said'],
  mistakes.map(({ what, manifest, answer }) => [what, kindOf(manifest), code(specOf(manifest)), code(answer)]),
)

const found = (kind: string): string =>
  table(
    ['Spec', 'Reason', 'Message'],
    wrongObjects
      .filter(({ manifest }) => manifest.kind === kind)
      .map(({ manifest, beside, reason, message }) => [
        `${code(specOf(manifest))}${beside ? `, beside ${beside.what}` : ''}`,
        `\`${reason}\``,
        code(message),
      ]),
  )

const intro = `What is said to wrong input: by both command lines, and of the three kinds. Each row is tried by a test, which compares the whole message. What is not here says
its reason in the object ([operations](operations.md#symptom-cause-cure)), and \`kubectl lamina doctor\` the next step.`

/** The page. */
export const errorsPage = (): string =>
  [
    '<!-- Generated from the wrong inputs that the tests try, by `npm run generate`; do not edit. -->',
    '# Error messages',
    intro,
    '## lamina',
    'On standard error, behind `FATAL:`. The exit code is 255 where something is refused, and 1 where the words are not understood, as of Apptainer. The files lie in `/home/ada`.',
    ...ofCommandLine('lamina', ofLamina),
    '## kubectl lamina',
    'On standard error, behind `error:`. The exit code is 2 where the words are wrong, 125 where a command was not started, else 1. The namespace is `team`.',
    ...ofCommandLine('kubectl lamina', ofPlugin),
    '## The three kinds, at the API server',
    'What `kubectl create -f -` says at once; nothing is stored. Where there is a rule, `The KIND "NAME" is invalid:` stands before it. An Instance has `imageRef: { name: debian }` unless it says otherwise.',
    '### A ContainerImage is refused',
    refusals(imageRules, created),
    '### A PersistentOverlay is refused',
    refusals(overlayRules, created),
    '### A change of a PersistentOverlay is refused',
    changes,
    '### An Instance is refused',
    refusals(instanceRules, created),
    '### Refused by the schema',
    bySchema,
    '## The three kinds, as the controller finds them',
    'What depends on other objects, the registry or a long list. Reason and message are those of the condition `Ready`, which is `False`; `kubectl get` shows the reason, `kubectl get -o wide` the message.',
    '### A ContainerImage cannot be had',
    found('ContainerImage'),
    '### A PersistentOverlay cannot be had',
    found('PersistentOverlay'),
    '### An Instance cannot run',
    found('Instance'),
    '',
  ].join('\n\n')

export const errorsFile = join(import.meta.dirname, '../../docs/errors.md')

export const writeErrors = (): void => writeFileSync(errorsFile, errorsPage())
