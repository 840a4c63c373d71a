import type { Vocabulary } from '../../shared/completion/candidates.ts'

export type NameKind = 'instances' | 'images' | 'overlays' | 'namespaces' | 'contexts' | 'subjects'

const namesByPlace: ReadonlyMap<string, readonly NameKind[]> = new Map(
  Object.entries({
    instance: ['instances'],
    words: ['instances', 'images'],
    overlay: ['overlays'],
    'kind/name': ['subjects'],
    '--overlay': ['overlays'],
    '--namespace': ['namespaces'],
    '--context': ['contexts'],
  } as const satisfies Record<string, readonly NameKind[]>),
)

/** Things in the cluster. */
export const vocabulary: Vocabulary<NameKind> = (place, command) => {
  // `image prefetch` takes an image, `run` one or an instance.
  if (place === 'image') return command.name() === 'prefetch' ? ['images'] : ['images', 'instances']
  return namesByPlace.get(place) ?? []
}
