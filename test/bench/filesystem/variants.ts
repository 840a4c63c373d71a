/** What an ext3 file system is made and mounted with. */
export interface Ext3Options {
  /**
   * How the image lies in the volume. `reserved`: by fallocate(2), so that it has room but counts as unwritten; `sparse`:
   * no room until written; `zeroed`: every byte written once.
   */
  allocation: 'reserved' | 'sparse' | 'zeroed'
  /**
   * How mkfs zeroes the journal and the inode tables. `byRange`: it asks the file system for zeros, which leaves them
   * unwritten; `byWriting`: it writes them (UNIX_IO_NOZEROOUT).
   */
  zeroing: 'byRange' | 'byWriting'
  mkfs: readonly string[]
  journal: 'internal' | 'external'
  loop: {
    io: 'buffered' | 'direct'
    sectorSize: 512 | 4096
    /** Files below /sys/block/loopN/queue. */
    queue: Readonly<Record<string, string>>
  }
  driver: 'ext4' | 'ext3'
  mount: readonly string[]
  /** Whether Apptainer takes it. */
  exchangeable: boolean
}

/** What holds the upper layer. `block`: ext3 straight on a volume's block device. */
type Upper = { kind: 'none' | 'directory' | 'memory' } | { kind: 'image' | 'block'; ext3: Ext3Options }

/** A way to give a container a writable root. */
export interface Variant {
  name: string
  upper: Upper
  /** Options of the overlay mount; undefined: no overlay, the work is done in the upper layer itself. */
  overlay: readonly string[] | undefined
  /** The ratio that it should reach in every workload, where not the workload says it. */
  aim?: number
}

/** As issue 3 left it. */
const former: Ext3Options = {
  allocation: 'reserved',
  zeroing: 'byRange',
  mkfs: [],
  journal: 'internal',
  loop: { io: 'buffered', sectorSize: 512, queue: {} },
  driver: 'ext4',
  mount: ['errors=remount-ro', 'data_err=abort'],
  exchangeable: true,
}

type Changes = Partial<Omit<Ext3Options, 'loop'>> & { loop?: Partial<Ext3Options['loop']> }

const change = (from: Ext3Options, { loop = {}, mount = [], ...changes }: Changes): Ext3Options => ({
  ...from,
  ...changes,
  mount: [...from.mount, ...mount],
  loop: { ...from.loop, ...loop },
})

/** What the measurements led to. */
const chosen = change(former, { zeroing: 'byWriting', loop: { io: 'direct', sectorSize: 4096 } })

const overlay = ['index=off', 'metacopy=off', 'redirect_dir=off', 'nfs_export=off', 'uuid=off']

const image = (name: string, from: Ext3Options, changes: Changes = {}): Variant => ({
  name,
  upper: { kind: 'image', ext3: change(from, changes) },
  overlay,
})

const directory: Variant = { name: 'format Directory', upper: { kind: 'directory' }, overlay }
const throwAway: Variant = {
  name: 'throw-away, on disk',
  upper: { kind: 'directory' },
  overlay: [...overlay, 'volatile'],
  aim: 1,
}
const throwAwayInMemory: Variant = {
  name: 'throw-away, in memory',
  upper: { kind: 'memory' },
  overlay: [...overlay, 'volatile'],
  aim: 1,
}
const onBlock = (name: string, changes: Changes = {}): Variant => ({
  name,
  upper: { kind: 'block', ext3: change(change(chosen, { allocation: 'zeroed' }), changes) },
  overlay,
})
const block = onBlock('block volume')
/** What ext4 adds to ext3 that matters for speed: whole runs of blocks in one record. */
const withExtents: Changes = { mkfs: ['-O', 'extent'], exchangeable: false }

/** The host's directory, with nothing between: what all ratios refer to. */
export const native: Variant = { name: 'host directory', upper: { kind: 'none' }, overlay: undefined }

const queue = (name: string, value: string): Changes => ({ loop: { queue: { [name]: value } } })
const mounted = (...mount: string[]): Changes => ({ mount })

export interface VariantSet {
  variants: readonly Variant[]
  /** Whether git and npm, which take long, are among the workloads. */
  commands: boolean
}

/** Each is measured against the host directory in one run. */
const sets: Readonly<Record<string, readonly Variant[]>> = {
  ways: [
    image('image, as of issue 3', former),
    image('image, as chosen', chosen),
    block,
    directory,
    throwAway,
    throwAwayInMemory,
  ],
  loop: [
    image('buffered, 512', chosen, { loop: { io: 'buffered', sectorSize: 512 } }),
    image('buffered, 4096', chosen, { loop: { io: 'buffered' } }),
    image('direct, 512', chosen, { loop: { sectorSize: 512 } }),
    image('direct, 4096', chosen),
    image('direct, read-ahead 128 KiB', chosen, queue('read_ahead_kb', '128')),
    image('direct, read-ahead 8 MiB', chosen, queue('read_ahead_kb', '8192')),
    image('direct, mq-deadline', chosen, queue('scheduler', 'mq-deadline')),
  ],
  allocation: [
    image('reserved, mkfs by range', chosen, { zeroing: 'byRange' }),
    image('reserved, mkfs by writing', chosen),
    image('zeroed', chosen, { allocation: 'zeroed' }),
    image('sparse', chosen, { allocation: 'sparse' }),
    image('buffered: reserved, mkfs by range', former),
    image('buffered: reserved, mkfs by writing', former, { zeroing: 'byWriting' }),
    image('buffered: zeroed', former, { zeroing: 'byWriting', allocation: 'zeroed' }),
  ],
  journal: [
    image('ordered, 32 MiB', chosen),
    image('4 MiB', chosen, { mkfs: ['-J', 'size=4'] }),
    image('128 MiB', chosen, { mkfs: ['-J', 'size=128'] }),
    image('external, 64 MiB', chosen, { journal: 'external' }),
    image('data=writeback', chosen, mounted('data=writeback')),
    image('data=journal', chosen, { mount: ['data=journal'], mkfs: ['-J', 'size=128'] }),
    image('commit=30', chosen, mounted('commit=30')),
    image('journal_checksum', chosen, mounted('journal_checksum')),
    image('async commit, writeback', chosen, mounted('data=writeback', 'journal_async_commit')),
    image('nobarrier (unsafe)', chosen, mounted('nobarrier')),
  ],
  driver: [
    image('ext4 driver', chosen),
    image('ext3 driver', chosen, { driver: 'ext3' }),
    image('nodelalloc', chosen, mounted('nodelalloc')),
    image('noatime', chosen, mounted('noatime')),
    image('lazytime', chosen, mounted('lazytime')),
    image('no batching', chosen, mounted('max_batch_time=0')),
    image('inode_readahead_blks=256', chosen, mounted('inode_readahead_blks=256')),
    image('stripe=32', chosen, mounted('stripe=32')),
    image('noauto_da_alloc', chosen, mounted('noauto_da_alloc')),
  ],
  format: [
    image('image, as chosen', chosen),
    image('image with extents', chosen, withExtents),
    block,
    onBlock('block volume with extents', withExtents),
  ],
  overlay: [
    image('image, as chosen', chosen),
    { ...image('image without overlay', chosen), overlay: undefined },
    { ...image('image, xino=on', chosen), overlay: [...overlay, 'xino=on'] },
    { ...image('image, xino=off', chosen), overlay: [...overlay, 'xino=off'] },
    directory,
    { ...directory, name: 'Directory, xino=on', overlay: [...overlay, 'xino=on'] },
    throwAway,
  ],
}

export const setNames = Object.keys(sets)

/** @throws when there is none of that name */
export const setNamed = (name: string): VariantSet => {
  const variants = sets[name]
  if (variants === undefined) throw new Error(`there is no set "${name}", only: ${setNames.join(', ')}`)
  return { variants, commands: name === 'ways' }
}
