import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { apptainerFile } from './support/files.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { imageLoops, inVolume, overlayVolume, type UserVolume, userVolume } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'overlays')
  await fixture.apply(
    registrySecret(cluster),
    containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
  )
})
afterAll(() => fixture.destroy())

/** Applies, waits, runs the script, ends: one life of an instance. */
const live = async (name: string, spec: Parameters<typeof instance>[1], script: string): Promise<string> => {
  await fixture.apply(instance(name, { podTemplate: promptly, ...spec }))
  await fixture.ready('instance', name, 90)
  const output = await fixture.exec(name, 'sh', '-euc', script)
  await fixture.end(name)
  return output
}

const readOnly = (...names: string[]) => names.map((name) => ({ name, access: 'ReadOnly' as const }))

describe.each([
  { kind: 'a directory', spec: { format: 'Directory' } },
  { kind: 'a block device', spec: { storage: { volumeMode: 'Block' } } },
  { kind: 'a sparse image', spec: { ext3: { allocation: 'Sparse' } } },
  { kind: 'an image with many inodes', spec: { ext3: { bytesPerInode: 1024, reservedPercent: 5 } } },
])('an overlay that is $kind', ({ kind, spec }) => {
  const name = kind.split(' ').slice(1).join('-')

  test('persists over pods, keeps removals, and has one writer or many readers', async () => {
    await fixture.apply(persistentOverlay(name, spec))
    await live(name, { overlays: [name] }, 'echo kept > /kept; rm /etc/motd; chown 70000:70001 /kept')
    expect(await live(name, { overlays: [name] }, 'cat /kept; ls /etc/motd 2>&1 || true; stat -c %u:%g /kept')).toMatch(
      /^kept\n.*No such file.*\n70000:70001$/,
    )
    await fixture.apply(
      instance(`${name}-1`, { overlays: readOnly(name), podTemplate: promptly }),
      instance(`${name}-2`, { overlays: readOnly(name), podTemplate: promptly }),
      instance(`${name}-w`, { overlays: [name], podTemplate: promptly }),
    )
    for (const reader of [`${name}-1`, `${name}-2`]) {
      await fixture.ready('instance', reader, 90)
      expect(await fixture.exec(reader, 'cat', '/kept')).toBe('kept')
    }
    expect(conditionOf(await fixture.get('instance', `${name}-w`), 'OverlaysReady').message).toMatch(
      new RegExp(`${name}-[12]`),
    )
    await fixture.end(`${name}-1`)
    await fixture.end(`${name}-2`)
    await fixture.ready('instance', `${name}-w`, 60)
    expect(await fixture.exec(`${name}-w`, 'cat', '/kept')).toBe('kept')
    await fixture.end(`${name}-w`)
  })
})

test('inodes and reserved blocks are as asked, and sparse says its risk', async () => {
  const inodes = Number(
    await live('counted', { overlays: ['image-with-many-inodes'] }, 'df --output=itotal / | tail -n1'),
  )
  expect(inodes).toBeGreaterThan(60_000)
  const overlay = await fixture.get('persistentoverlay', 'sparse-image')
  const { message } = conditionOf(overlay, 'Allocated')
  expect(message).toMatch(/lost|full/)
  const volume = await overlayVolume({ kubectl, fixture }, 'sparse-image')
  const [blocks = '', size = ''] = (await inVolume(cluster, volume, 'stat -c "%b %s" overlay.img')).split(' ')
  expect(Number(blocks) * 512).toBeLessThan(Number(size) / 2)
})

test('several overlays lie over each other in the order of the spec, the writer on top', async () => {
  const names = ['low', 'high', 'own']
  await fixture.apply(...names.map((name) => persistentOverlay(name)))
  for (const name of names)
    await live(
      name,
      { overlays: [name] },
      `echo ${name} > /which; touch /only-${name}; [ ${name} = low ] || rm /etc/debian_version`,
    )
  const seen = 'cat /which; ls -d /only-*'
  expect(await live('two', { overlays: readOnly('low', 'high') }, seen)).toBe('high\n/only-high\n/only-low')
  expect(await live('back', { overlays: readOnly('high', 'low') }, seen)).toBe('low\n/only-high\n/only-low')
  expect(await live('all', { overlays: ['own', ...readOnly('low', 'high')] }, seen)).toBe(
    'own\n/only-high\n/only-low\n/only-own',
  )
})

describe('existing claims', () => {
  let volume: UserVolume
  beforeAll(async () => {
    volume = await userVolume({ kubectl, fixture }, 'brought', { size: '128Mi' })
    await inVolume(
      cluster,
      volume,
      `zstd -qd ${apptainerFile('apptainer-overlay.img.zst')} -o made.img
      zstd -qd ${apptainerFile('minimal-overlay.sif.zst')} -o with-overlay.sif
      mkdir -p tree/opt/tool && echo from-tree > tree/opt/tool/text
      printf 'dir /opt 0755 0 0\\ndir /opt/squashed 0755 0 0\\nfile /opt/squashed/text 0644 0 0 tree/opt/tool/text\\n' > entries
      gensquashfs --quiet --pack-file entries layer.sqfs && rm entries
      mkdir -p foreign/upper/etc foreign/work && touch foreign/upper/etc/.wh.motd`,
    )
  })
  const existing = (name: string, path: string, more: object = {}) =>
    persistentOverlay(name, { storage: { existingClaimName: 'brought', path }, ...more })

  test('an overlay image that Apptainer made and wrote is taken up, written, and stays one that Apptainer opens', async () => {
    await fixture.apply(existing('from-apptainer', 'made.img'))
    const seen = await live(
      'taken',
      { overlays: ['from-apptainer'] },
      'cat /foo >/dev/null; stat -c "%a %u:%g %h" /srv/deep/er/file; ls /opt/tool; touch /by-lamina',
    )
    expect(seen).toBe('4755 0:0 2\nonly')
    expect(await live('taken', { overlays: ['from-apptainer'] }, 'ls /by-lamina')).toBe('/by-lamina')
    const features = await inVolume(cluster, volume, 'dumpe2fs -h made.img 2>/dev/null | grep features')
    expect(features).not.toMatch(/extent|64bit|flex_bg|metadata_csum/)
  })

  test('so is the overlay partition inside a SIF', async () => {
    await fixture.apply(existing('in-sif', 'with-overlay.sif'))
    await live('sif', { overlays: ['in-sif'] }, 'test -e /foo; echo more > /more')
    expect(await live('sif', { overlays: ['in-sif'] }, 'cat /more')).toBe('more')
  })

  test('a squashfs and a directory are layers to read, and refused to write', async () => {
    await fixture.apply(existing('squashed', 'layer.sqfs'), existing('tree', 'tree'))
    expect(
      await live('layers', { overlays: readOnly('squashed', 'tree') }, 'cat /opt/squashed/text /opt/tool/text'),
    ).toBe('from-tree\nfrom-tree')
    await fixture.apply(instance('greedy', { overlays: ['squashed'], podTemplate: promptly }))
    const message = await until('it is refused', async () => {
      const condition = conditionOf(await fixture.get('instance', 'greedy'), 'OverlaysReady')
      return condition.status === 'False' && condition.message?.includes('squashfs') && condition.message
    })
    expect(message).toContain('ReadOnly')
    await fixture.end('greedy')
  })

  test('whiteouts of fuse-overlayfs are made the kernel’s own', async () => {
    await fixture.apply(existing('fuse', 'foreign', { format: 'Directory' }))
    expect(await live('fuse', { overlays: ['fuse'] }, 'ls -A /etc | grep -c -e "^motd$" -e "^.wh" || true')).toBe('0')
  })

  test('a claim and path have one overlay; the claim outlives it, untouched', async () => {
    await fixture.apply(existing('again', 'made.img'))
    const { reason, message } = await until('it is refused', async () => {
      const condition = conditionOf(await fixture.get('persistentoverlay', 'again'), 'Stalled')
      return condition.status === 'True' && condition
    })
    expect(reason).toBe('ClaimTaken')
    expect(message).toContain('from-apptainer')
    await fixture.delete('persistentoverlay', 'again')
    await fixture.delete('persistentoverlay', 'from-apptainer')
    const claim = await fixture.get('pvc', 'brought')
    expect(claim.metadata.labels ?? {}).toEqual({})
    await inVolume(cluster, volume, 'test -e made.img')
  })
})

describe('growth', () => {
  test.each([
    { kind: 'an image', spec: {} },
    { kind: 'a block device', spec: { storage: { volumeMode: 'Block' } } },
  ])('$kind grows with spec.size and never shrinks', async ({ kind, spec }) => {
    const name = `growing-${kind.split(' ').at(-1)}`
    const blocks = 'df --output=size -m / | tail -n1'
    await fixture.apply(persistentOverlay(name, { size: '64Mi', ...spec }))
    const before = Number(await live(name, { overlays: [name] }, `echo kept > /kept; ${blocks}`))
    await fixture.apply(persistentOverlay(name, { size: '160Mi', ...spec }))
    const after = Number(await live(name, { overlays: [name] }, `cat /kept >&2; ${blocks}`))
    expect(after).toBeGreaterThan(before + 80)
    await expect(fixture.apply(persistentOverlay(name, { size: '32Mi', ...spec }))).rejects.toThrow('cannot shrink')
  })
})

describe('the throw-away overlay', () => {
  test('in memory it ends with ENOSPC at its limit; the pod lives on', async () => {
    const output = await live(
      'memory',
      { ephemeral: { medium: 'Memory', sizeLimit: '32Mi' } },
      'dd if=/dev/zero of=/big bs=1M count=64 2>&1 || true; rm /big; echo alive > /alive; cat /alive',
    )
    expect(output).toMatch(/No space left on device[\s\S]*alive$/)
  })

  test('has no small limit of its own: 200 MiB fit', async () => {
    expect(await live('roomy', {}, 'dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null; stat -c %s /big')).toBe(
      String(200 * 2 ** 20),
    )
  })
})

describe('how full it is', () => {
  test('an overlay that fills is told outside well before it is full, and ENOSPC inside', async () => {
    await fixture.apply(persistentOverlay('filling', { size: '64Mi' }))
    await fixture.apply(instance('filling', { overlays: ['filling'], podTemplate: promptly }))
    await fixture.ready('instance', 'filling', 90)
    const fill = (percent: number) =>
      fixture.exec(
        'filling',
        'sh',
        '-euc',
        `size=$(df --output=size -k / | tail -n1); used=$(df --output=used -k / | tail -n1)
        dd if=/dev/zero of=/fill-${percent} bs=1K count=$((size * ${percent} / 100 - used)) 2>/dev/null`,
      )
    const told = (reason: string) =>
      until(
        `the Event ${reason}`,
        async () => (await fixture.events('PersistentOverlay', 'filling')).find((event) => event.reason === reason),
        { seconds: 60 },
      )
    await fill(88)
    expect((await told('OverlayNearlyFull')).message).toContain('filling')
    await fill(97)
    await told('OverlayFull')
    const { status } = await fixture.get('persistentoverlay', 'filling')
    expect(JSON.stringify(status)).toContain('usedBytes')
    const full = await fixture.tryExec('filling', 'dd', 'if=/dev/zero', 'of=/more', 'bs=1M', 'count=64')
    expect(full.stderr).toContain('No space left on device')
    expect(await fixture.exec('filling', 'cat', '/etc/hostname')).toBe('filling')
    await fixture.end('filling')
    expect(await imageLoops({ kubectl, fixture })).toEqual([])
  })
})
