import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { alertsFile, alertsPage } from './alerts.ts'

test('docs/alerts.md is what the rules say: npm run generate', () => {
  expect(readFileSync(alertsFile, 'utf8')).toBe(alertsPage())
})

test('every alert is on it, and nothing that Prometheus fills in', () => {
  const page = alertsPage()
  const rules = readFileSync(new URL('../../charts/lamina/files/alerts.yaml', import.meta.url), 'utf8')
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
  expect(alerts.length).toBeGreaterThan(10)
  expect(alerts.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([])
  expect(page).not.toContain('{{')
})
