import type { Platform } from '../../crds/common.ts'
import type { ImageIndex } from './manifest.ts'

const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mipsel: 'mipsle',
}

/** OCI's name of the processor that this process runs on. */
export const ownArchitecture = (architecture: string = process.arch): string =>
  architectures[architecture] ?? architecture

/** 64-bit ARM is always `v8`, and 32-bit ARM mostly `v7`, said or not. */
const variantOf = ({ architecture, variant = '' }: { architecture: string; variant?: string | undefined }): string => {
  if (architecture === 'arm64' && variant === 'v8') return ''
  return architecture === 'arm' && variant === '' ? 'v7' : variant
}

export const formatPlatform = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant ? [variant] : [])].join('/')

/** Whether something made for `offered` is what `asked` asks for; a variant that is not asked for may be any. */
export const isFor = (offered: Platform, asked: Platform): boolean =>
  offered.os === asked.os &&
  offered.architecture === asked.architecture &&
  (asked.variant === undefined || variantOf(offered) === variantOf(asked))

type Choice = { digest: string; platform: Platform }

/** The platforms of a multi-platform image. Attestations and the like are for none. */
export const platformsOf = ({ manifests }: ImageIndex): Choice[] =>
  manifests.flatMap(({ digest, platform }) => (platform && platform.os !== 'unknown' ? [{ digest, platform }] : []))

/** The first one that fits; when no variant is asked for, one without rather than one with. */
export const choosePlatform = (index: ImageIndex, asked: Platform): Choice | undefined => {
  const fitting = platformsOf(index).filter(({ platform }) => isFor(platform, asked))
  return fitting.find(({ platform }) => variantOf(platform) === variantOf(asked)) ?? fitting[0]
}
