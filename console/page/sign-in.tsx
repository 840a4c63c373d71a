import { useState } from 'preact/hooks'
import { isBearerToken } from '../paths.ts'

interface Props {
  /** Why it did not work before; '' at first. */
  trouble: string
  signIn(token: string): void
}

export const SignIn = ({ trouble, signIn }: Props) => {
  const [text, setText] = useState('')
  const token = text.trim()
  const isWrong = token !== '' && !isBearerToken(token)
  const submit = (event: Event): void => {
    event.preventDefault()
    if (isBearerToken(token)) signIn(token)
  }
  return (
    <form class="sign-in" onSubmit={submit}>
      <h1>Lamina</h1>
      <p>Sign in with a token of the cluster's API server. It stays in this tab, and goes when the tab is closed.</p>
      <label>
        Token
        <input
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      <button type="submit" disabled={token === '' || isWrong}>
        Sign in
      </button>
      {isWrong && <p class="bad">That is no token: it has letters, digits and . _ ~ + / - alone, without spaces.</p>}
      {trouble !== '' && <p role="alert">{trouble}</p>}
      <p class="faint">
        For a service account: <code>kubectl create token NAME</code>. Whoever signs in with certificates alone asks the
        cluster's administrator for one.
      </p>
    </form>
  )
}
