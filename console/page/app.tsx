import { useEffect, useState } from 'preact/hooks'
import { ApiError } from '../../kube/api-error.ts'
import { type Api, createApi } from './api.ts'
import { Dashboard } from './dashboard.tsx'
import { SignIn } from './sign-in.tsx'
import { tokenStore } from './token.ts'
import { homeNamespace } from './views.ts'

type Session =
  | { kind: 'asking' }
  | { kind: 'signedOut'; trouble: string }
  | { kind: 'signedIn'; api: Api; user: string; hasToken: boolean; namespaces: string[] }

/** @param token undefined: perhaps a proxy in front has signed in */
const begin = async (token: string | undefined): Promise<Session> => {
  const api = createApi(token)
  try {
    const user = await api.whoAmI()
    if (token !== undefined) tokenStore.set(token)
    return { kind: 'signedIn', api, user, hasToken: token !== undefined, namespaces: await api.namespaces() }
  } catch (error) {
    if (!(error instanceof ApiError))
      return { kind: 'signedOut', trouble: `The console does not answer (${String(error)}).` }
    if (error.status !== 401) return { kind: 'signedOut', trouble: error.words }
    tokenStore.forget()
    return { kind: 'signedOut', trouble: token === undefined ? '' : 'The API server does not accept this token.' }
  }
}

/** The fragment names the namespace, so that a link leads there. */
const namespaceOfLink = (): string => location.hash.slice(1)

const isNamespace = (text: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)

const useNamespace = (home: string): [string, (namespace: string) => void] => {
  const [linked, setLinked] = useState(namespaceOfLink())
  useEffect(() => {
    const follow = (): void => setLinked(namespaceOfLink())
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  const go = (namespace: string): void => {
    location.hash = namespace
  }
  return [isNamespace(linked) ? linked : home, go]
}

interface SignedInProps {
  session: Extract<Session, { kind: 'signedIn' }>
  signOut(): void
}

const SignedIn = ({ session: { api, user, hasToken, namespaces }, signOut }: SignedInProps) => {
  const [namespace, go] = useNamespace(homeNamespace(user))
  return (
    <>
      <header>
        <h1>Lamina</h1>
        <label>
          Namespace{' '}
          <input
            list="namespaces"
            value={namespace}
            spellcheck={false}
            onChange={({ currentTarget }) => go(currentTarget.value.trim())}
          />
        </label>
        <datalist id="namespaces">
          {namespaces.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <span class="user">{user}</span>
        {hasToken && (
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        )}
      </header>
      <Dashboard key={namespace} api={api} namespace={namespace} />
    </>
  )
}

export const App = () => {
  const [session, setSession] = useState<Session>({ kind: 'asking' })
  const enter = async (token: string | undefined): Promise<void> => setSession(await begin(token))
  useEffect(() => {
    enter(tokenStore.get())
  }, [])
  const signOut = (): void => {
    tokenStore.forget()
    setSession({ kind: 'signedOut', trouble: '' })
  }
  if (session.kind === 'asking') return <p class="faint">…</p>
  if (session.kind === 'signedIn') return <SignedIn session={session} signOut={signOut} />
  return <SignIn trouble={session.trouble} signIn={enter} />
}
