import { persistentOverlay } from '../support/objects.ts'
import { labelMessage, objectNameMessage, pathMessage, type Rule, type UpdateRule } from './rule.ts'

const overlay = (name: string, spec: object) => ({ ...persistentOverlay(name), spec })
const onClaim = (storage: object, spec: object = {}) =>
  overlay('existing', { storage: { existingClaimName: 'mine', ...storage }, ...spec })

export const rules: Rule[] = [
  {
    message: labelMessage(54),
    at: '<nil>: Invalid value',
    allowed: [overlay('a'.repeat(54), {}), overlay('1-a', {})],
    refused: [overlay('dotted.name', {}), overlay('a'.repeat(55), {})],
  },
  {
    message: 'size must be a quantity of at least 16Mi, such as 1Gi',
    at: 'spec.size: Invalid value: "15Mi"',
    allowed: [overlay('small', { size: '16Mi' }), overlay('exact', { size: '1.5G' })],
    refused: [
      overlay('smaller', { size: '15Mi' }),
      overlay('words', { size: 'big' }),
      overlay('neg', { size: '-1Gi' }),
    ],
  },
  {
    message: 'size must be below 8Ei: no volume is larger',
    at: 'spec.size: Invalid value: "8Ei"',
    allowed: [overlay('plain', { size: '7Ei', format: 'Directory' })],
    refused: [overlay('plain', { size: '8Ei', format: 'Directory' })],
  },
  {
    message: 'size must be below 16Ti, where ext3 ends: use format: Directory for more',
    at: 'spec.size: Invalid value',
    allowed: [overlay('most', { size: '16383Gi' }), overlay('plain', { size: '16Ti', format: 'Directory' })],
    refused: [overlay('image', { size: '16Ti' }), overlay('block', { size: '1P', storage: { volumeMode: 'Block' } })],
  },
  {
    message: 'ext3 has fewer than 2^32 inodes: so large a size needs a larger ext3.bytesPerInode',
    at: 'spec.ext3.bytesPerInode: Invalid value',
    allowed: [overlay('most', { size: '4095Gi', ext3: { bytesPerInode: 1024 } })],
    refused: [
      overlay('dense', { size: '4Ti', ext3: { bytesPerInode: 1024 } }),
      overlay('dense', { size: '8Ti', ext3: { bytesPerInode: 2048 } }),
    ],
  },
  {
    message: objectNameMessage('storageClassName', 'StorageClass'),
    at: 'spec.storage.storageClassName: Invalid value: "Fast"',
    allowed: [overlay('classed', { storage: { storageClassName: 'fast.example' } })],
    refused: [overlay('classed', { storage: { storageClassName: 'Fast' } })],
  },
  {
    message: objectNameMessage('existingClaimName', 'PersistentVolumeClaim'),
    at: 'spec.storage.existingClaimName: Invalid value: "My_Data"',
    allowed: [onClaim({ existingClaimName: 'data.of-team' })],
    refused: [onClaim({ existingClaimName: 'My_Data' }), onClaim({ existingClaimName: 'data/overlay.img' })],
  },
  {
    message: 'a claim lamina-* belongs to the overlay of that name: use that one, or a claim of your own',
    at: 'spec.storage.existingClaimName: Invalid value: "lamina-dev"',
    allowed: [onClaim({})],
    refused: [onClaim({ existingClaimName: 'lamina-dev' })],
  },
  {
    message: pathMessage('overlays/tools.img'),
    at: 'spec.storage.path: Invalid value: "/overlay.img"',
    allowed: [onClaim({ path: 'overlays/tools.img' })],
    refused: ['/overlay.img', 'a/../b', '', 'a//b', 'a/', 'a\nb', 'a\tb', 'a'.repeat(256)].map((path) =>
      onClaim({ path }),
    ),
  },
  {
    message: 'storageClassName is for a claim that is made: leave it out with existingClaimName',
    at: 'spec.storage: Invalid value',
    allowed: [overlay('classed', { storage: { storageClassName: 'loop' } })],
    refused: [onClaim({ storageClassName: 'loop' })],
  },
  {
    message: 'path is for an existing claim with a file system: set existingClaimName, or leave path out',
    at: 'spec.storage: Invalid value',
    allowed: [onClaim({ path: 'a.img' }), onClaim({ volumeMode: 'Block' })],
    refused: [overlay('placed', { storage: { path: 'a.img' } }), onClaim({ volumeMode: 'Block', path: 'a.img' })],
  },
  {
    message: 'format: Directory needs a volume with a file system: set storage.volumeMode: Filesystem',
    at: 'spec.storage.volumeMode: Invalid value',
    allowed: [overlay('plain', { format: 'Directory' }), overlay('block', { storage: { volumeMode: 'Block' } })],
    refused: [overlay('both', { format: 'Directory', storage: { volumeMode: 'Block' } })],
  },
  {
    message: 'ext3 is for format: Image: leave one of the two out',
    at: 'spec.ext3: Invalid value',
    allowed: [overlay('tuned', { ext3: { bytesPerInode: 4096, reservedPercent: 1, allocation: 'Sparse' } })],
    refused: [overlay('both', { format: 'Directory', ext3: {} })],
  },
  {
    message:
      'ext3 says how a file system is made, and what is on an existing claim stays as it is: leave one of the two out',
    at: 'spec.ext3: Invalid value',
    allowed: [onClaim({})],
    refused: [onClaim({}, { ext3: { reservedPercent: 1 } })],
  },
  {
    message: 'ext3.allocation is for an image in a volume with a file system: leave it out with volumeMode: Block',
    at: 'spec.ext3.allocation: Invalid value',
    allowed: [overlay('block', { storage: { volumeMode: 'Block' }, ext3: { reservedPercent: 1 } })],
    refused: [overlay('block', { storage: { volumeMode: 'Block' }, ext3: { allocation: 'Sparse' } })],
  },
  {
    message: 'an existing claim is never deleted by Lamina: set reclaimPolicy: Retain',
    at: 'spec.reclaimPolicy: Invalid value',
    allowed: [onClaim({}, { reclaimPolicy: 'Retain' }), overlay('own', { reclaimPolicy: 'Delete' })],
    refused: [onClaim({}, { reclaimPolicy: 'Delete' })],
  },
]

export const updates: UpdateRule[] = [
  {
    message: 'size cannot shrink: make a smaller overlay and copy what you need',
    at: 'spec.size: Invalid value: "63Mi"',
    before: overlay('sized', { size: '64Mi' }),
    allowed: [overlay('sized', { size: '65Mi' }), overlay('sized', { size: '65536Ki' })],
    refused: [overlay('sized', { size: '63Mi' })],
  },
  {
    message: 'storage cannot be changed: make another overlay',
    at: 'spec.storage: Invalid value',
    before: overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop' } }),
    allowed: [overlay('stored', { size: '65Mi', storage: { storageClassName: 'loop', accessMode: 'ReadWriteOnce' } })],
    refused: [
      overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop-immediate' } }),
      overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop', accessMode: 'ReadWriteMany' } }),
      overlay('stored', { size: '64Mi' }),
      overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop', volumeMode: 'Block' } }),
    ],
  },
  {
    message: 'format cannot be changed: make another overlay',
    at: 'spec.format: Invalid value: "Directory"',
    before: overlay('formed', { size: '64Mi' }),
    allowed: [overlay('formed', { size: '64Mi', format: 'Image' })],
    refused: [overlay('formed', { size: '64Mi', format: 'Directory' })],
  },
  {
    message: 'ext3 cannot be changed: make another overlay',
    at: 'spec.ext3: Invalid value',
    before: overlay('tuned', { size: '64Mi', ext3: { bytesPerInode: 4096 } }),
    allowed: [overlay('tuned', { size: '65Mi', ext3: { bytesPerInode: 4096 } })],
    refused: [overlay('tuned', { size: '64Mi' }), overlay('tuned', { size: '64Mi', ext3: { bytesPerInode: 8192 } })],
  },
  {
    message: 'ext3 cannot be changed: make another overlay',
    at: 'spec.ext3: Invalid value',
    before: overlay('untuned', { size: '64Mi' }),
    allowed: [overlay('untuned', { size: '65Mi' })],
    refused: [overlay('untuned', { size: '64Mi', ext3: {} })],
  },
]
