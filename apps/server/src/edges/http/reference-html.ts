/** Text that is markup already. Everything else goes through `escape`. */
export type Html = string

export function escape(text: string): Html {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

export function code(text: string): Html {
  return `<code>${escape(text)}</code>`
}

/** @param caption  says what the table is, for those who do not see what stands above it */
export function table(caption: string, heads: readonly string[], rows: readonly (readonly Html[])[]): Html {
  const head = heads.map((text) => `<th scope="col">${escape(text)}</th>`).join('')
  const body = rows.map(
    ([first = '', ...cells]) =>
      `<tr><th scope="row">${first}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`,
  )
  return `<table><caption>${escape(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`
}

export function linkToProblem(problemCode: string): Html {
  return `<a href="/reference/problems#${problemCode.replace('/', '-')}">${code(problemCode)}</a>`
}

export function page(title: string, navigation: Html, body: Html): Html {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Sotto · ${escape(title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/reference/style.css"></head><body><a class="skip" href="#content">To the content</a><header><h1>Sotto · ${escape(title)}</h1>${navigation}</header><main id="content" tabindex="-1">${body}</main></body></html>`
}

/** One column from 360 pixels on: long words break, so that nothing scrolls sideways (WCAG 2.1 §1.4.10). */
export const STYLE = `:root{color-scheme:light dark;--ink:#1b2430;--quiet:#51606f;--paper:#fff;--line:#d9dee4;--field:#f3f5f8;--accent:#0b5c86}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--quiet:#a3b0bd;--paper:#12181f;--line:#2c3742;--field:#1a222b;--accent:#7cc4ea}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
header,main{max-width:64rem;margin:0 auto;padding:1.25rem}main:focus{outline:none}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{margin:2.25rem 0 .25rem;font-size:1.05rem}h4{margin:1rem 0 .25rem;font-size:.95rem}
p{margin:.25rem 0}ul{padding-left:1.25rem;margin:.25rem 0}nav ul{columns:16rem;list-style:none;padding:0}nav h2{font-size:1rem;margin:1rem 0 .25rem;border:0}
.quiet{color:var(--quiet);font-size:.9rem}a{color:var(--accent)}code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{background:var(--field);border:1px solid var(--line);border-radius:.25rem;padding:.75rem;white-space:pre-wrap;margin:.25rem 0}
table{border-collapse:collapse;width:100%;margin:.25rem 0}caption{text-align:left;color:var(--quiet);font-size:.9rem}
td,th{text-align:left;font-weight:400;border-bottom:1px solid var(--line);padding:.35rem .5rem .35rem 0;vertical-align:top}thead th{font-weight:600}
article:target{outline:2px solid var(--accent);outline-offset:.5rem}
.skip{position:absolute;left:-100vw}.skip:focus{left:.5rem;top:.5rem;background:var(--paper);padding:.5rem}`
