import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { containerImageSchema } from '../../crds/container-image.ts'
import { instanceSchema } from '../../crds/instance.ts'
import { persistentOverlaySchema } from '../../crds/persistent-overlay.ts'
import { ApiError } from '../../kube/api-error.ts'
import type { Metadata } from '../../kube/resource.ts'
import type { Api } from './api.ts'
import { type Followed, follow, type Subject } from './follow.ts'
import { Images, Instances, Overlays } from './tables.tsx'
import { TerminalPanel } from './terminal.tsx'
import { type Action, imageView, instanceView, overlayView, patchFor } from './views.ts'

const useFollowed = <T extends { metadata: Metadata }>(
  api: Api,
  namespace: string,
  { plural, schema }: Omit<Subject<T>, 'namespace'>,
): Followed<T> => {
  const [followed, setFollowed] = useState<Followed<T>>({})
  useEffect(() => {
    const end = new AbortController()
    setFollowed({})
    follow(api, { namespace, plural, schema }, setFollowed, end.signal)
    return () => end.abort()
  }, [api, namespace, plural, schema])
  return followed
}

interface SectionProps<T> {
  title: string
  followed: Followed<T>
  children(objects: T[]): ComponentChildren
}

const Section = <T,>({ title, followed: { objects, trouble }, children }: SectionProps<T>) => (
  <section aria-label={title}>
    <h2>{title}</h2>
    {trouble !== undefined && <p class="bad">{trouble}</p>}
    {objects === undefined && trouble === undefined && <p class="faint">…</p>}
    {objects?.length === 0 && <p class="faint">none in this namespace</p>}
    {objects !== undefined && objects.length > 0 && children(objects)}
  </section>
)

const words: Record<Action, string> = { start: 'started', stop: 'stopped' }

/** What is in one namespace. */
export const Dashboard = ({ api, namespace }: { api: Api; namespace: string }) => {
  const images = useFollowed(api, namespace, { plural: 'containerimages', schema: containerImageSchema })
  const overlays = useFollowed(api, namespace, { plural: 'persistentoverlays', schema: persistentOverlaySchema })
  const instances = useFollowed(api, namespace, { plural: 'instances', schema: instanceSchema })
  const [busy, setBusy] = useState<ReadonlySet<string>>(new Set())
  const [refusal, setRefusal] = useState('')
  const [shown, setShown] = useState<string | undefined>(undefined)
  const instanceViews = useMemo(() => instances.objects?.map(instanceView), [instances.objects])

  const act = async (name: string, action: Action): Promise<void> => {
    const instance = instances.objects?.find(({ metadata }) => metadata.name === name)
    if (!instance) return
    setRefusal('')
    setBusy((before) => new Set([...before, name]))
    try {
      await api.patchInstance(namespace, name, patchFor(action, instance, new Date()))
    } catch (error) {
      const why = error instanceof ApiError ? error.words : String(error)
      setRefusal(`${name} was not ${words[action]}: ${why}`)
    } finally {
      setBusy((before) => new Set([...before].filter((other) => other !== name)))
    }
  }

  return (
    <main>
      {refusal !== '' && (
        <div role="alert">
          {refusal}
          <button type="button" onClick={() => setRefusal('')}>
            Dismiss
          </button>
        </div>
      )}
      <Section title="Instances" followed={{ ...instances, objects: instanceViews }}>
        {(views) => <Instances instances={views} busy={busy} act={act} openTerminal={setShown} />}
      </Section>
      <Section title="Overlays" followed={overlays}>
        {(objects) => <Overlays overlays={objects.map(overlayView)} />}
      </Section>
      <Section title="Images" followed={images}>
        {(objects) => <Images images={objects.map(imageView)} />}
      </Section>
      {shown !== undefined && (
        <TerminalPanel api={api} namespace={namespace} instance={shown} close={() => setShown(undefined)} />
      )}
    </main>
  )
}
