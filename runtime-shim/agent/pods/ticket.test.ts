import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { genInstance, genPod, genResolved } from '../../../test/gen/objects.ts'
import { flock, lockKind } from '../../mount/syscalls.ts'
import { currentBootID } from '../../node/boot.ts'
import { writeJson } from '../../node/json-file.ts'
import { defaultLayout, podPaths } from '../../node/layout.ts'
import type { Granted } from './chain.ts'
import { giveTicket, readTicket, refuse, revokeTicket, ticketOf } from './ticket.ts'

const { reference, digest } = genResolved()
const granted: Granted = {
  instance: genInstance('dev'),
  image: { reference, digest, volume: null, allowExt3: false },
  overlays: [
    {
      ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite', mountPath: '/.lamina/overlays/0' },
      ...{ volumeMode: 'Filesystem', format: 'Image', path: 'overlay.img' },
      ...{ size: 1, ext3: {}, existing: false, made: true, wasDamaged: false, leaves: [] },
    },
  ],
  ephemeral: false,
}
const node = { bootID: currentBootID(), imageUser: '' }
const ticket = (spec: object = {}, imageUser = '', grant: Partial<Granted> = {}) =>
  ticketOf(genPod('dev', { spec }), { ...granted, ...grant }, { ...node, imageUser })
const pod = (securityContext: object) => ({ securityContext })
const main = (securityContext: object) => ({ containers: [{ name: 'main', securityContext }] })

describe('what a ticket says', () => {
  test('whose it is, and what may be mounted', () => {
    expect(ticket()).toEqual({
      version: 1,
      pod: { namespace: 'team', name: 'dev', uid: 'uid-dev' },
      instance: { name: 'dev', uid: 'uid-dev' },
      bootID: currentBootID(),
      image: { reference, digest, volume: null, allowExt3: false },
      overlays: [
        {
          ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite', mountPath: '/.lamina/overlays/0' },
          ...{ volumeMode: 'Filesystem', format: 'Image', path: 'overlay.img', leaves: [] },
        },
      ],
      ephemeral: null,
      user: '',
      podGroups: [],
      imageGroups: true,
      runAsNonRoot: false,
      stopSignal: null,
    })
  })

  test.each([
    ['SIGINT', 2],
    ['nonsense', null],
  ])('what stands in for SIGTERM: %s', (asked, stopSignal) => {
    const asking = genPod('dev', { metadata: { annotations: { 'lamina.dev/stop-signal': asked } } })
    expect(ticketOf(asking, granted, node).stopSignal).toBe(stopSignal)
  })

  test('where the throw-away overlay is', () => {
    expect(ticket({}, '', { ephemeral: true }).ephemeral).toEqual({ mountPath: '/.lamina/ephemeral' })
  })

  test('where an image lies that is on a volume, and whether it may be ext3', () => {
    const image = { reference, digest, volume: { mountPath: '/.lamina/base', path: 'a.sif' }, allowExt3: true }
    expect(ticket({}, '', { image }).image).toEqual(image)
  })

  test.each<[string, object, string, string]>([
    ["the image's", {}, 'worker:crew', 'worker:crew'],
    ["the pod's", pod({ runAsUser: 7 }), 'worker', '7'],
    ["the container's, over the pod's", { ...pod({ runAsUser: 7 }), ...main({ runAsUser: 8 }) }, 'worker', '8'],
    ["with the pod's group", pod({ runAsUser: 7, runAsGroup: 9 }), 'worker', '7:9'],
    ["the image's with the container's group", main({ runAsGroup: 9 }), 'worker:crew', 'worker:9'],
    ['root with a group', main({ runAsGroup: 9 }), '', '0:9'],
    ['root when asked, whatever the image says', main({ runAsUser: 0 }), 'worker', '0'],
  ])('who runs: %s', (_what, spec, imageUser, user) => {
    expect(ticket(spec, imageUser).user).toBe(user)
  })

  test('groups of the pod, and whether those of the image count', () => {
    const spec = pod({ supplementalGroups: [10, 11], fsGroup: 12, supplementalGroupsPolicy: 'Strict' })
    expect(ticket(spec)).toMatchObject({ podGroups: [10, 11, 12], imageGroups: false })
  })

  test.each([
    [pod({ runAsNonRoot: true }), true],
    [main({ runAsNonRoot: true }), true],
    [{ ...pod({ runAsNonRoot: true }), ...main({ runAsNonRoot: false }) }, false],
  ])('runAsNonRoot of %j', (spec, expected) => {
    expect(ticket(spec).runAsNonRoot).toBe(expected)
  })
})

describe('on the node', () => {
  let stateDir: string
  const paths = () => podPaths({ ...defaultLayout, stateDir }, 'uid-dev')
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'lamina-tickets-'))
  })
  afterEach(() => rmSync(stateDir, { recursive: true }))

  /** As the runtime does while it mounts. */
  const whileMounting = (act: () => void): void => {
    const fd = openSync(paths().ticket, 'r')
    try {
      flock(fd, lockKind.shared, { wait: false })
      act()
    } finally {
      closeSync(fd)
    }
  }

  test('it takes back the refusal before it', () => {
    refuse(paths(), { reason: 'NotGranted', message: 'not yet', final: false })
    expect(JSON.parse(readFileSync(paths().refusal, 'utf8'))).toMatchObject({ reason: 'NotGranted' })
    expect(giveTicket(paths(), ticket())).toBe(true)
    expect(existsSync(paths().refusal)).toBe(false)
    expect(readTicket(paths(), 'uid-dev')).toEqual(ticket())
  })

  test('the same again leaves the file as it is', () => {
    giveTicket(paths(), ticket())
    const { ino } = statSync(paths().ticket)
    giveTicket(paths(), ticket())
    expect(statSync(paths().ticket).ino).toBe(ino)
  })

  test('another does not come beside one by which something is being mounted', () => {
    giveTicket(paths(), ticket())
    whileMounting(() => expect(giveTicket(paths(), ticket({}, 'worker'))).toBe(false))
    expect(readTicket(paths(), 'uid-dev')?.user).toBe('')
    expect(giveTicket(paths(), ticket({}, 'worker'))).toBe(true)
    expect(readTicket(paths(), 'uid-dev')?.user).toBe('worker')
  })

  test('it is not revoked while something is being mounted by it', () => {
    giveTicket(paths(), ticket())
    whileMounting(() => expect(revokeTicket(paths())).toBe(false))
    expect(existsSync(paths().ticket)).toBe(true)
    expect(revokeTicket(paths())).toBe(true)
    expect(existsSync(paths().ticket)).toBe(false)
    expect(revokeTicket(paths())).toBe(true)
  })

  test.each([
    ['of an earlier boot', { bootID: 'before' }],
    ['of another version of Lamina', { version: 2 }],
    ['with a digest that is none', { image: { reference: 'r@../../kubelet', digest: '../../kubelet' } }],
    ['with the reference of another digest', { image: { reference: `r@sha256:${'b'.repeat(64)}`, digest } }],
    ['of another pod', { pod: { namespace: 'team', name: 'dev', uid: 'uid-else' } }],
  ])('one %s is none', (_what, change) => {
    giveTicket(paths(), ticket())
    writeJson(paths().ticket, { ...ticket(), ...change })
    expect(readTicket(paths(), 'uid-dev')).toBeUndefined()
    expect(giveTicket(paths(), ticket())).toBe(true)
    expect(readTicket(paths(), 'uid-dev')).toEqual(ticket())
  })
})
