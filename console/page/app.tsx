import { useEffect, useState } from 'preact/hooks'
import { ApiError } from '../../kube/api-error.ts'
import { type Api, createApi } from './api.ts'
import { Dashboard } from './dashboard.tsx'
import { homeNamespace, namespaceOf } from './namespace.ts'
import { SignIn } from './sign-in.tsx'
import { tokenStore } from './token.ts'

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
const linkedNamespace = (): string => location.hash.slice(1)

const useLink = (): [string, (namespace: string) => void] => {
  const [linked, setLinked] = useState(linkedNamespace())
  useEffect(() => {
    const follow = (): void => setLinked(linkedNamespace())
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  const go = (namespace: string): void => {
    location.hash = namespace
  }
  return [linked, go]
}

interface SignedInProps {
  session: Extract<Session, { kind: 'signedIn' }>
  signOut(): void
}

const SignedIn = ({ session: { api, user, hasToken, namespaces }, signOut }: SignedInProps) => {
  const [linked, go] = useLink()
  const { namespace, trouble } = namespaceOf(linked, homeNamespace(user))
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
      {trouble !== undefined && <div role="alert">{trouble}</div>}
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
