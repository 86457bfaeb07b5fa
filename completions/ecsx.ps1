# Completion of ecsx for PowerShell. What it knows it asks `ecsx __complete`.
Register-ArgumentCompleter -Native -CommandName ecsx -ScriptBlock {
    param($current, $line, $cursor)
    $words = @($line.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { "$_" })
    $option = if ($current -match '^-[^=]*=') { $Matches[0] } else { '' }
    # Before 7.3 an empty argument to a program had to be spelled out.
    $legacy = -not $PSNativeCommandArgumentPassing -or $PSNativeCommandArgumentPassing -eq 'Legacy'
    $asked = if ($current -ne '') { "$current" } elseif ($legacy) { '""' } else { '' }
    foreach ($answer in (& ecsx __complete @words $asked 2>$null)) {
        if ($answer -match '^:\d+$') { continue }
        $value, $help = $answer -split "`t", 2
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new("$option$value", $value, 'ParameterValue', $help)
    }
}
