import './no-eval.ts'
import { options, render } from 'preact'
import { App } from './app.tsx'

// Many objects may change at once; a frame is soon enough, and a hidden tab draws nothing.
options.debounceRendering = (draw) => requestAnimationFrame(draw)
render(<App />, document.body)
