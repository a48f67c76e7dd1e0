// The tab "Ablation": a choice of study, and its page in a frame, loaded again when there is news.

const POLL = 5000; // milliseconds between two looks
const SHARE = 10; // a page is drawn in a tenth of the time, so that a run is not slowed …
const LONGEST = 30000; // … but looked for at least so often

async function studies() {
  const answer = await fetch('./studies');
  return answer.ok ? answer.json() : [];
}

export async function render() {
  document.body.innerHTML = `
    <style>
      html, body { height: 100%; margin: 0; }
      body { display: flex; flex-direction: column; font: 14px system-ui, sans-serif;
             color-scheme: light dark; background: Canvas; color: CanvasText; }
      header { display: flex; gap: .75rem; align-items: center; padding: .5rem 1rem;
               border-bottom: 1px solid GrayText; }
      select { font: inherit; max-width: 70vw; }
      iframe { flex: 1; border: 0; width: 100%; }
    </style>
    <header><label>Study <select></select></label><span role="status"></span></header>
    <iframe title="Report on the study"></iframe>`;
  const select = document.querySelector('select');
  const status = document.querySelector('[role=status]');
  const frame = document.querySelector('iframe');
  let shown = '', pause = POLL;

  function load(study, state) {
    const same = shown.split('\n')[0] === study;
    const height = same && frame.contentWindow ? frame.contentWindow.scrollY : 0;
    const began = performance.now();
    shown = `${study}\n${state}`;
    status.textContent = 'Reading …';
    frame.onload = () => {
      frame.contentWindow.scrollTo(0, height);
      pause = Math.min(Math.max(POLL, SHARE * (performance.now() - began)), LONGEST);
      status.textContent = '';
    };
    frame.src = `./page?study=${encodeURIComponent(study)}&state=${state}`;
  }

  async function look() {
    let found = [];
    try {
      found = await studies();
    } catch {
      status.textContent = 'TensorBoard does not answer.';
      return;
    }
    const names = found.map(each => each.name);
    const listed = [...select.options].map(each => each.value);
    if (names.some(each => !listed.includes(each)) || listed.some(each => !names.includes(each))) {
      const chosen = names.includes(select.value) ? select.value : names[0];
      select.replaceChildren(...names.map(each => new Option(each, each)));
      select.value = chosen;
    }
    const now = found.find(each => each.name === select.value);
    if (!now) status.textContent = 'No study is here yet.';
    else if (shown !== `${now.name}\n${now.state}`) load(now.name, now.state);
  }

  async function follow() {
    if (!document.hidden) await look();
    setTimeout(follow, pause);
  }

  select.addEventListener('change', look);
  await follow();
}
