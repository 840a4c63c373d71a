import { render } from 'preact'
import { config } from 'zod'
import { App } from './app.tsx'

// Otherwise it would try to make code from text, which the page's policy forbids.
config({ jitless: true })
render(<App />, document.body)
