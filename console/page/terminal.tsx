import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Api } from './api.ts'
import type { Ending } from './channels.ts'
import { joinShell } from './shell.ts'

interface Props {
  api: Api
  namespace: string
  instance: string
  close(): void
}

/** Opens anew when it is of another instance. */
export const TerminalPanel = ({ api, namespace, instance, close }: Props) => {
  const place = useRef<HTMLDivElement>(null)
  const [ending, setEnding] = useState<Ending>()
  const [opening, setOpening] = useState(0)
  useEffect(() => {
    if (!place.current) return
    setEnding(undefined)
    const terminal = new Terminal({ cursorBlink: true, fontSize: 14, scrollback: 5000, screenReaderMode: true })
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(place.current)
    const observer = new ResizeObserver(() => fit.fit())
    observer.observe(place.current)
    fit.fit()
    terminal.focus()
    const leave = joinShell(api, { namespace, instance }, terminal, setEnding)
    return () => {
      leave()
      observer.disconnect()
      terminal.dispose()
    }
  }, [api, namespace, instance, opening])
  return (
    <section class="terminal-panel" aria-label={`Terminal of ${instance}`}>
      <div>
        <span>{instance}</span>
        {ending && <span role={ending.isTrouble ? 'alert' : 'status'}>{ending.words}</span>}
        <div>
          {ending && (
            <button type="button" onClick={() => setOpening(opening + 1)}>
              Open again
            </button>
          )}
          <button type="button" onClick={close}>
            Close
          </button>
        </div>
      </div>
      <div ref={place} />
    </section>
  )
}
