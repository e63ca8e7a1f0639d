import { Component, type ReactNode } from 'react'
import { FailureScreen } from '../screens/failure-screen.tsx'

/** A mistake of ours in a component: the page says so and offers to load again. What waits to be sent is stored. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, { readonly failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError(): { readonly failed: boolean } {
    return { failed: true }
  }

  override render(): ReactNode {
    return this.state.failed ? <FailureScreen /> : this.props.children
  }
}
