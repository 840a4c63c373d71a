import type { ComponentChildren } from 'preact'
import type { Action, ImageView, InstanceView, Meter, OverlayView, State } from './views.ts'

const Table = ({ columns, children }: { columns: string[]; children: ComponentChildren }) => (
  <table>
    <thead>
      <tr>
        {columns.map((column) => (
          <th key={column} scope="col">
            {column}
          </th>
        ))}
      </tr>
    </thead>
    <tbody>{children}</tbody>
  </table>
)

const StateCell = ({ state: { tone, word, message } }: { state: State }) => (
  <td>
    <span class={tone}>{word}</span>
    {message !== '' && <div class="message">{message}</div>}
  </td>
)

interface InstancesProps {
  instances: InstanceView[]
  /** Names of those that are being started or stopped. */
  busy: ReadonlySet<string>
  act(name: string, action: Action): void
  openTerminal(name: string): void
}

export const Instances = ({ instances, busy, act, openTerminal }: InstancesProps) => (
  <Table columns={['Name', 'State', 'Image', 'Overlays', 'Node', '']}>
    {instances.map(({ name, image, overlays, node, state, action, hasTerminal }) => (
      <tr key={name}>
        <td>{name}</td>
        <StateCell state={state} />
        <td>{image}</td>
        <td>{overlays.join(', ')}</td>
        <td>{node}</td>
        <td class="actions">
          <button type="button" disabled={!hasTerminal} onClick={() => openTerminal(name)}>
            Terminal
          </button>
          <button type="button" disabled={busy.has(name)} onClick={() => act(name, action)}>
            {action === 'start' ? 'Start' : 'Stop'}
          </button>
        </td>
      </tr>
    ))}
  </Table>
)

/** Events come at 85 and 95 %: so do the colours. */
const Usage = ({ what, meter: { share, words } }: { what: string; meter: Meter }) => (
  <div>
    <meter aria-label={what} min={0} max={1} low={0.85} high={0.95} optimum={0} value={share} />{' '}
    <span class="faint">
      {words}
      {what === 'Inodes' ? ' inodes' : ''}
    </span>
  </div>
)

export const Overlays = ({ overlays }: { overlays: OverlayView[] }) => (
  <Table columns={['Name', 'State', 'Size', 'Used', 'Held by']}>
    {overlays.map(({ name, state, size, holders, usage }) => (
      <tr key={name}>
        <td>{name}</td>
        <StateCell state={state} />
        <td>{size}</td>
        <td>
          {usage ? (
            <div title={`as its node saw it at ${usage.observed}`}>
              <Usage what="Bytes" meter={usage.bytes} />
              <Usage what="Inodes" meter={usage.inodes} />
            </div>
          ) : (
            <span class="faint">no node has looked yet</span>
          )}
        </td>
        <td>{holders.join(', ')}</td>
      </tr>
    ))}
  </Table>
)

export const Images = ({ images }: { images: ImageView[] }) => (
  <Table columns={['Name', 'State', 'Source', 'Digest', 'Size']}>
    {images.map(({ name, state, source, digest, size }) => (
      <tr key={name}>
        <td>{name}</td>
        <StateCell state={state} />
        <td>{source}</td>
        <td>
          <code>{digest}</code>
        </td>
        <td>{size}</td>
      </tr>
    ))}
  </Table>
)
